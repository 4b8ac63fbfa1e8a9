# `make demo` and `make test` set up everything they need in .venv and then run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST_ARGS ?=
DEMO_ARGS ?=

.PHONY: demo test lint clean

demo: $(VENV)/.demo
	$(BIN)/magma demo $(DEMO_ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python setup.py constraints.txt
	$(PIP) --editable ".[embedded,sim]"
	touch $@

$(VENV)/.test: $(VENV)/bin/python setup.py constraints.txt
	$(PIP) --editable ".[embedded,sim,train,dev]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build *.egg-info
