# Every target makes its own virtual environment first; nothing else is needed than Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: quickstart test test-all faults check fix format lint types catalogue clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: $(INSTALLED)  ## the whole job on embedded data, without a network
	$(BIN)/tunesmith quickstart

test: $(INSTALLED)  ## the test suite: no network, no GPU
	$(BIN)/python -m pytest -n auto

test-all: $(INSTALLED)  ## the slow tests too: real weights, many processes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m pytest -n auto -m "slow or not slow"

faults: $(INSTALLED)  ## kills, damage, failing disks, hostile files and bombs: a line per case
	$(BIN)/python -m tests.faults

check: format lint types test  ## all that must pass

format: $(INSTALLED)
	$(BIN)/ruff format --check .

lint: $(INSTALLED)
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

fix: $(INSTALLED)  ## write what format and lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

catalogue: $(INSTALLED)  ## collect the texts, and compile the Chinese ones
	$(BIN)/python -m tests.catalogue

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
