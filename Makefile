# Every target first makes a virtual environment; Python 3.11 or newer is all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help quickstart test test-all faults check fix format lint types catalog clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
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

check: format lint types test  ## everything that must pass

format: $(INSTALLED)
	$(BIN)/ruff format --check .

lint: $(INSTALLED)
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

fix: $(INSTALLED)  ## write what format and lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

catalog: $(INSTALLED)  ## collect the messages, and compile the Chinese ones
	$(BIN)/python -m tests.catalog

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
