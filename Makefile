# Two commands are enough: `make demo` and `make test`. Each brings a fresh machine (Python >= 3.11
# with pip and venv) to the point where it works, in .venv, from locked versions.

PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check bench soak test-broker test-pyftms test-all format lock clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 24

demo: .venv/.demo ## see the whole product, with nothing to own
	$(BIN)/retrowalk demo

test: .venv/.dev ## everything that needs no installation beyond PyPI
	$(BIN)/python -m pytest -n auto -m "not broker" --ignore=tests/core
	$(BIN)/python -m pytest -n auto tests/core --cov=bridge.core --cov-report=
	$(BIN)/python -m coverage report --include='bridge/core/*' --fail-under=100 --skip-covered

check: .venv/.dev ## format, lint, types, import rules, locks
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/uv lock --check
	tools/lock --check
	$(BIN)/python tools/machines-table --check

test-broker: .venv/.dev ## the real Mosquitto
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || \
	  { echo "mosquitto is not installed: apt install mosquitto"; exit 1; }
	PATH="$$PATH:/usr/sbin" $(BIN)/python -m pytest -m broker

# pyftms is somebody else's FTMS client; it needs Python 3.12 or 3.13 and an environment of its own.
ORACLE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/retrowalk/pyftms-0.4.15
ORACLE_PYTHON ?= $(shell for name in python3.13 python3.12; do \
  $$name -c 'import venv' 2>/dev/null && echo $$name && break; done)

test-pyftms: $(ORACLE)/ready ## a client from elsewhere on the simulated treadmill
	$(ORACLE)/bin/python -m pytest -p no:cacheprovider tests/test_pyftms.py

bench: $(ORACLE)/ready ## figures and ratios, in one run
	$(ORACLE)/bin/python -m tests.bench

$(ORACLE)/ready: requirements.txt
	@[ -n "$(ORACLE_PYTHON)" ] || \
	  { echo "pyftms needs Python 3.12 or 3.13: set ORACLE_PYTHON"; exit 1; }
	$(ORACLE_PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --requirement requirements.txt pyftms==0.4.15 \
	  pytest==9.2.0 pytest-asyncio pytest-timeout looptime hypothesis
	touch $@

soak: .venv/.dev ## the long stateful and random runs
	$(BIN)/python -m tests.soak

test-all: check test test-broker test-pyftms ## every tier there is

format: .venv/.dev ## put the code into the house's form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: .venv/.dev ## new versions of everything, then the lists pip reads
	$(BIN)/uv lock --upgrade
	tools/lock

.venv/.demo: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Retrowalk needs Python 3.11 or newer; set PYTHON=python3.12 or so"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || \
	  { echo "no venv module: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/.dev: .venv/.demo requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

clean: ## forget the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
