# hoga: every command of the workshop. `make` alone prints them.
#
# The environment is `.venv`, made from the hash-pinned locks; it is made anew when a lock changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MINUTES ?= 60
SEEDS  ?= 2000
JOBS   ?= 2
REPORT ?= docs/reports/soak.md
NATIVE := native/pyproject.toml native/CMakeLists.txt $(wildcard native/include/hoga/*.hpp native/src/*.cpp)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps

.DEFAULT_GOAL := help
.PHONY: help fuzz sim soak mutants demo test check stack bench bench-peers proto tables lock clean

help:  ## print the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## run everything on this machine against simulated exchanges; prints the address of the web page
	@exec $(BIN)/hoga up --simulate

test: $(VENV)/.dev  ## run the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev  ## lint, types, import contracts, protobuf lint and breaking changes, generated code is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/baseline.binpb
	$(BIN)/python -m hoga.wire.generate --check
	$(BIN)/python -m deploy.tables --check

stack: $(VENV)/.dev  ## bring up docker-compose.yml for real and test it (needs a Docker engine, or makes one on Debian)
	HOGA_STACK=1 $(BIN)/python -m pytest tests/stack $(PYTEST_ARGS)

soak: $(VENV)/.dev  ## random faults against real processes and all simulated exchanges: MINUTES=60 SEED=… REPEATS=… (of each measured scenario) REPORT=docs/reports/soak.md
	$(BIN)/python -m tests.soak.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
		$(if $(REPEATS),--repeats $(REPEATS)) --report $(REPORT)

sim: $(VENV)/.dev  ## simulate many seeded worlds of faults in virtual time: SEEDS=2000 JOBS=2
	$(BIN)/python -m tests.sim.run --seeds $(SEEDS) --jobs $(JOBS) $(SIM_ARGS)

fuzz: $(VENV)/.dev  ## fuzz everything that reads bytes from outside: MINUTES=1 TARGET=part-of-a-name SEED=1 REPLAY=file
	$(BIN)/python -m tests.fuzz.run --minutes $(if $(filter command line environment,$(origin MINUTES)),$(MINUTES),1) \
		--seed $(or $(SEED),1) --target '$(TARGET)' $(if $(REPLAY),--replay '$(REPLAY)')

mutants: $(VENV)/.dev  ## hand-made bugs, one at a time: the suite has to catch each
	$(BIN)/python -m tests.mutants.run --jobs $(JOBS)

bench: $(VENV)/.dev  ## measure the pipeline on this machine and write a table
	$(BIN)/python -m benchmarks.pipeline

bench-peers: $(VENV)/.dev  ## the same frames through hoga, cryptofeed and ccxt, each in an environment of its own under .peers
	$(BIN)/python -m benchmarks.peers

proto: $(VENV)/.dev  ## generate hoga/wire/generated from proto/
	$(BIN)/python -m hoga.wire.generate

tables: $(VENV)/.dev  ## write the tables of the documents that are made from code
	$(BIN)/python -m deploy.tables

lock: $(VENV)/.dev  ## pin the dependencies of pyproject.toml anew
	deploy/lock.sh

clean:  ## remove the environment, caches and logs
	rm -rf $(VENV) build native/build dist *.egg-info logs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@echo "hoga: making the environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hoga needs Python 3.11 or newer; found: $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Books in C++ where a compiler and Python's headers are found; without them the plain Python ones serve as well.
$(VENV)/.native: $(VENV)/.python requirements-native.lock $(NATIVE)
	@$(BIN)/python -m pip --quiet uninstall --yes hoga-native 2>/dev/null || true
	@rm -f $(VENV)/native.log
	@if command -v $${CXX:-c++} >/dev/null && \
		test -e "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"; then \
		echo "hoga: building the native book"; \
		{ $(PIP) -r requirements-native.lock && $(BIN)/python -m pip --disable-pip-version-check install --no-index \
			--no-deps --no-build-isolation ./native; } >$(VENV)/native.log 2>&1 || true; \
	fi
	@$(BIN)/python -c 'import hoga_native' 2>/dev/null || echo "hoga: no native book, the plain Python one serves: $$( \
		test -e $(VENV)/native.log && echo "its build failed, see $(VENV)/native.log" || \
		echo "no C++ compiler with Python headers found")"
	@touch $@

$(VENV)/.demo: $(VENV)/.python requirements.lock requirements-embedded.lock pyproject.toml | $(VENV)/.native
	@echo "hoga: installing the pinned dependencies"
	@$(PIP) -r requirements.lock -r requirements-embedded.lock
	@echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/hoga.pth"
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m hoga "$$@"\n' > $(BIN)/hoga
	@chmod +x $(BIN)/hoga
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements-dev.lock
	@echo "hoga: installing the pinned tools for tests and checks"
	@$(PIP) -r requirements-dev.lock
	@touch $@
