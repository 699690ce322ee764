# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
# How torch is installed; for a CPU build outside these pins: make TORCH="torch --index-url URL"
TORCH  ?= -c constraints.txt torch
BIN    := $(VENV)/bin
PHOTO  ?=
STYLE  ?=

.PHONY: help demo test test-slow lint types bench docs clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[style,faces,serve]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

demo: $(VENV)/.installed  ## paint, know a face, teach a network, look into it: demo/ (PHOTO=… STYLE=… for your own)
	$(BIN)/mien demo --out demo $(if $(PHOTO),--photo "$(PHOTO)") $(if $(STYLE),--style "$(STYLE)")

test: lint types $(VENV)/.installed-test  ## lint, types and the fast tests
	$(BIN)/python -m pytest -q -n 2

test-slow: $(VENV)/.installed-test  ## what takes long, and a real browser (MIEN_DATA=… for tests on real data)
	$(BIN)/python -m pytest -q -m "(slow or browser) and not gpu and not postgres"

lint: $(VENV)/.installed-test  ## ruff and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-test  ## mypy, strict
	$(BIN)/mypy

bench: $(VENV)/.installed-test  ## the benchmarks, at most 60 minutes; results in docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/style.py
	$(BIN)/python benchmarks/faces.py
	$(BIN)/python benchmarks/visualize.py
	$(BIN)/python benchmarks/training.py

clean:  ## remove the environment and everything made
	rm -rf $(VENV) demo bench build dist .mypy_cache .ruff_cache .pytest_cache
