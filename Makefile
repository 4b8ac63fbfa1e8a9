# `make demo` and `make test` set up everything they need in .venv and then run.
# Python 3.11 is taken where there is one: PyBullet has no wheel for newer ones and is compiled there.
PYTHON ?= $(shell for python in python3.11 python3; do \
	"$$python" -c 'import ensurepip' 2>/dev/null && echo "$$python" && exit; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check --constraint
PYTEST_ARGS ?=
DEMO_ARGS ?=

.PHONY: demo test lint lowest clean

demo: $(VENV)/.demo
	$(BIN)/magma demo $(DEMO_ARGS)

test: $(VENV)/.test
	@.ci/tools
	@PYTHON=$(BIN)/python .ci/suite $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The oldest versions that setup.py allows, on whatever Python: tests that need no simulator.
lowest:
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(VENV)-lowest/bin/python $(PIP) constraints-lowest.txt --editable ".[embedded]" \
		pytest pytest-timeout hypothesis
	$(VENV)-lowest/bin/magma bundle verify magma-nano
	$(VENV)-lowest/bin/magma doctor
	$(VENV)-lowest/bin/python -m pytest $(PYTEST_ARGS)

$(BIN)/python:
	@echo "setting up $(VENV) with $(PYTHON), $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python setup.py constraints.txt
	@$(BIN)/python -m magma_ros.wheels
	$(BIN)/python $(PIP) constraints.txt --editable ".[embedded,sim,console]"
	touch $@

$(VENV)/.test: $(BIN)/python setup.py constraints.txt
	@$(BIN)/python -m magma_ros.wheels
	$(BIN)/python $(PIP) constraints.txt --editable ".[embedded,sim,metaworld,console,remote,serve,perception,kinematics,lerobot,train,dev]"
	$(BIN)/python $(PIP) constraints.txt --no-deps openpi-client  # it asks for NumPy 1, and works with 2
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) $(VENV)-lowest build *.egg-info
