# Every target first makes a virtual environment; Python 3.11 or newer is all it needs.
VENV ?= .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := $(VENV)/Scripts
else
PYTHON ?= python3
BIN := $(VENV)/bin
endif
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-all faults check format lint types fix hooks docs reference \
	pictures catalog golden wheel wheel-check clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q src  # tests start many processes, also where none may write
	$(BIN)/python -m tunesmith.training.fast.kernels
	touch $@

quickstart: $(INSTALLED)  ## the whole workflow on embedded data, without a network
	$(BIN)/tunesmith quickstart

test: $(INSTALLED)  ## the test suite: no network, no GPU
	$(BIN)/python -m pytest -n auto

test-all: $(INSTALLED)  ## also the slow tests: real weights, many processes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m pytest -n auto -m "slow or not slow"

faults: $(INSTALLED)  ## kills, damage, failing disks, hostile files and bombs: a line per case
	$(BIN)/python -m tests.faults

check: format lint types test  ## everything that must pass before a pull request

format: $(INSTALLED)  ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(INSTALLED)  ## ruff's rules
	$(BIN)/ruff check .

types: $(INSTALLED)  ## mypy, strict
	$(BIN)/mypy

fix: $(INSTALLED)  ## write what format and lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: $(INSTALLED)  ## run format, lint and types at each commit, test at each push
	$(BIN)/pre-commit install --install-hooks

docs: $(INSTALLED)  ## site/: the documentation in both languages, with every link checked
	$(BIN)/python -m docs.website

reference: $(INSTALLED)  ## write docs/reference from the code, in both languages
	$(BIN)/python -m docs.generate

pictures: $(INSTALLED)  ## record the pictures of README and pages again, from real runs
	$(BIN)/python -m docs.pictures

catalog: $(INSTALLED)  ## collect the messages, and compile the Chinese ones
	$(BIN)/python -m tests.catalog

golden: $(INSTALLED)  ## record the reference runs again, after an intended change of results
	$(BIN)/python -m tests.golden

wheel: $(INSTALLED)  ## dist/: the source archive, and the wheel built from it
	$(BIN)/python -m build --no-isolation --outdir dist

wheel-check: wheel  ## install the wheel into an empty environment and use it
	$(BIN)/python tests/wheel_check.py dist

clean:  ## remove the environment, caches and builds
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
