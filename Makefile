# Each target does all its own set-up (git, make, Python >= 3.11); `make help` lists them.
.POSIX:
.PHONY: run demo web man test nightly least check lint faults soak reliability ops-check web-check format contract clean help
.PHONY: bench bench-peers bench-compare bench-soak bench-profile performance

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
STATE = .state
JOBS = 8
ROUNDS = 100
NIGHTLY_ROUNDS = 12
MINUTES = 30
MESSAGES = 5000000
RESTARTS = 1000
TOPICS = latency verdicts throughput reading life memory shell idle scale output fleet attach many thousand web
TESTS = -m "not nightly"

help:
	@echo "make run     a broker, a daemon and a worker that counts: type the lines that it prints"
	@echo "make test    what every change must pass, JOBS=$(JOBS) at a time; or TESTS='tests/unit tests/faults'"
	@echo "make nightly  the rest: many variants, rounds or seconds of what few show there, tests of tests"
	@echo "make least   what talks by redis-py, with the least version of it that pyproject.toml allows"
	@echo "make demo    three units on one screen, with keys to command them"
	@echo "make web     the same in a browser: open the address that it prints; Ctrl-C ends it all"
	@echo "make check   format, lint, types, sizes and unit tests, in seconds; make lint: without tests"
	@echo "make faults  the proofs by repetition, ROUNDS=$(ROUNDS) times, with their figures"
	@echo "make soak    a fault every ten seconds for MINUTES=$(MINUTES); as long, units that come and go"
	@echo "make reliability  the tests of all faults, and of the night, written down in docs/reliability.md"
	@echo "make ops-check  a real systemd is booted, a real image built and run; as root, minutes"
	@echo "make web-check  the page of statusd web in a real Chromium; PICTURES=--pictures: docs/pictures anew"
	@echo "make bench   the benchmarks; ARGS='--only latency --rounds 9 --json FILE --plot FILE.svg'"
	@echo "make bench-peers    RQ, Celery, Circus, supervisord, bluesky-queueserver beside statusd"
	@echo "make bench-compare BASE=main   what the working tree changes, beside that revision"
	@echo "make bench-soak     MESSAGES=$(MESSAGES) and RESTARTS=$(RESTARTS) through one daemon"
	@echo "make bench-profile  where the daemon's time goes, by py-spy"
	@echo "make performance    all of it but the comparison, written down in docs/performance.md"

# Two at a time take turns, by a lock that is gone with them; what one has begun that was killed is
# made from the beginning.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "statusd needs Python 3.11 or newer: make PYTHON=/path/to/python3 ..."; exit 1; }
	@set -e; exec 9<Makefile; flock 9 2>/dev/null || :; \
	test -n "$$(find pyproject.toml constraints.txt -newer $@ 2>&1)" || exit 0; \
	echo "setting up $(VENV) with $$($(PYTHON) --version)"; \
	$(PYTHON) -m venv $$(test ! -e $(VENV)/.begun || echo --clear) $(VENV); \
	touch $(VENV)/.begun; \
	$(PIP) -e '.[embedded,graph,metrics,web,dev]'; \
	mv $(VENV)/.begun $@

run: $(VENV)/.ready
	@STATUSD_STATE_DIRECTORY="$(STATE)" $(BIN)/python -m statusd run --embedded --fresh config/demo.toml

demo: $(VENV)/.ready
	@$(BIN)/python -m statusd demo

web: $(VENV)/.ready
	@$(BIN)/python -m statusd demo --web

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)

nightly: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m nightly --rounds $(NIGHTLY_ROUNDS)

least: $(VENV)/.ready
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	least=$$(sed -n 's/.*"redis\[hiredis\]>=\([0-9.]*\)".*/\1/p' pyproject.toml); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -t "$$folder" "redis==$$least"; \
	PYTHONPATH=$$folder $(BIN)/python -m pytest tests/integration/test_fleet_clients.py \
	  tests/integration/test_async_fleet.py tests/system/test_fleet.py

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m tests.tools.limits

check: lint
	$(BIN)/python -m pytest -q -m "not nightly" tests/unit

faults: $(VENV)/.ready
	$(BIN)/python -m pytest tests/faults --rounds $(ROUNDS) -s

soak: $(VENV)/.ready
	$(BIN)/python -m pytest tests/faults/test_soak.py tests/faults/test_folder_soak.py --minutes $(MINUTES) -s

reliability: $(VENV)/.ready
	$(BIN)/python -m pytest -m "fault or nightly" --rounds $(NIGHTLY_ROUNDS) --reliability

ops-check: $(VENV)/.ready
	@$(PIP) -e '.[ops]'
	$(BIN)/python -m pytest tests/ops --ops -s -p no:randomly -ra

# What can't be had here is skipped, with a reason.
web-check: $(VENV)/.ready
	@$(PIP) -e '.[web,page]' || echo "playwright can't be installed here"
	@command -v chromium >/dev/null || test "$$(id -u)" -ne 0 || { apt-get -qq update && \
	apt-get -qq install -y --no-install-recommends chromium >/dev/null; } || echo "Chromium can't be installed here"
	$(BIN)/python -m pytest -n 2 --dist worksteal --browser $(PICTURES) -ra tests/browser

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.ready
	$(BIN)/python -m benchmarks.peers $(ARGS)

bench-compare: $(VENV)/.ready
	@test -n "$(BASE)" || { echo "compare with what? make bench-compare BASE=main"; exit 2; }
	$(BIN)/python -m benchmarks.compare $(BASE) $(ARGS)

bench-profile: $(VENV)/.ready
	$(PIP) py-spy
	$(BIN)/python -m benchmarks.profile $(ARGS)

bench-soak: $(VENV)/.ready
	$(BIN)/python -m benchmarks.soak --messages $(MESSAGES) --restarts $(RESTARTS) $(ARGS)

# In pieces. If one was disturbed, nothing is written, and it is said which to measure again.
performance: $(VENV)/.ready
	mkdir -p .bench
	for topic in $(TOPICS); do \
		$(BIN)/python -m benchmarks --only $$topic --json .bench/$$topic.json || exit 1; done
	for topic in life idle replies; do \
		$(BIN)/python -m benchmarks.peers --only $$topic --json .bench/peers-$$topic.json \
		|| exit 1; done
	-$(BIN)/python -m benchmarks.soak --messages $(MESSAGES) --restarts $(RESTARTS) --json .bench/soak.json
	$(BIN)/python -m benchmarks.performance .bench

contract: $(VENV)/.ready
	$(BIN)/python -m tests.tools.contract

man: $(VENV)/.ready
	$(BIN)/python -m tests.tools.man

clean:
	rm -rf $(VENV) .bench benchmarks/.peers .state .mypy_cache .ruff_cache .pytest_cache .hypothesis
