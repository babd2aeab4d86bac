# A small image of statusd. Bring your own worker: a module on PYTHONPATH and a settings file.
#   docker build -t statusd . && docker run -v ./job.toml:/etc/statusd/statusd.toml:ro statusd
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/statusd
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY service service
RUN /opt/statusd/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .

FROM python:3.13-slim
COPY --from=build /opt/statusd /opt/statusd
ENV PATH=/opt/statusd/bin:$PATH PYTHONUNBUFFERED=1 STATUSD_STATE_DIRECTORY=/var/lib/statusd
RUN mkdir -p /etc/statusd /var/lib/statusd && chown 10001:10001 /var/lib/statusd
USER 10001:10001
VOLUME /var/lib/statusd
STOPSIGNAL SIGTERM
ENTRYPOINT ["statusd"]
CMD ["run", "/etc/statusd/statusd.toml"]
