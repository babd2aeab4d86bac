# A small image of statusd; docs/containers.md tells what is in it and how to add a worker.
#   docker build -t statusd . && docker run -e STATUSD_REDIS__URL=redis://broker:6379/0 statusd
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/statusd
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY service service
# Compiled here: the image's root is read-only for whoever runs it.
RUN pip --python /opt/statusd/bin/python install --no-cache-dir --disable-pip-version-check \
    --compile -c constraints.txt '.[web]'

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="statusd" \
      org.opencontainers.image.description="A status for any long-running job, commanded from anywhere over Redis" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/statusd /opt/statusd
COPY config/image.toml /etc/statusd/statusd.toml
COPY LICENSE /usr/share/doc/statusd/LICENSE
# State and socket lie in the volume: nothing else is ever written to.
ENV PATH=/opt/statusd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATE_DIRECTORY=/var/lib/statusd \
    RUNTIME_DIRECTORY=/var/lib/statusd/run
RUN mkdir -p /var/lib/statusd && chown 10001:10001 /var/lib/statusd
USER 10001:10001
WORKDIR /var/lib/statusd
VOLUME ["/var/lib/statusd"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["statusd", "health"]
ENTRYPOINT ["statusd"]
CMD ["run", "/etc/statusd/statusd.toml"]
