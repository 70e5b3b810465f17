# mlconsole: what can be made here. "make help" lists it.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= .demo
WORKERS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || echo 2))  # most of a test's time is waiting for processes
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types layers check clean

help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.demo-ready ## launch real trainings and open the console on them (HEADLESS=1: print a table)
	@$(BIN)/mlconsole demo --directory $(DEMO)
	$(if $(HEADLESS),,@exec $(BIN)/mlconsole --catalog $(DEMO)/catalog)

test: $(VENV)/.dev-ready ## run the tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lint: $(VENV)/.dev-ready ## look for mistakes
	$(BIN)/ruff check .

format: $(VENV)/.dev-ready ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.dev-ready ## check the types
	$(BIN)/mypy

layers: $(VENV)/.dev-ready ## check that no layer imports one above it
	$(BIN)/lint-imports

check: lint types layers test ## everything that must pass before a change is sent
	$(BIN)/ruff format --check .

clean: ## remove what was built; the demo's catalog and the virtual environment included
	rm -rf $(DEMO) $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'mlconsole needs Python 3.11 or newer. Say which: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev-ready: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo-ready
