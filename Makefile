# `make` or `make help` lists the targets. They use .venv, which the README's commands make.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: help install check test sweep crash histories properties bench docs

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

.venv/bin/python:
	python3 -m venv .venv

install: .venv/bin/python ## the virtual environment with everything for development
	$(PYTHON) -m pip install -q -e '.[dev]'

check: ## format, lint, layers, types: what must be clean before a commit
	$(BIN)ruff format --check .
	$(BIN)ruff check .
	$(BIN)lint-imports
	$(BIN)mypy

test: ## the quick tests: some minutes on two cores
	$(PYTHON) -m pytest -n auto

# Which sixth of the boundaries: another one at each commit.
TURN := $(shell expr $$(git rev-list --count HEAD 2>/dev/null || echo 0) % 6)

sweep: check ## checks, many simulated nights, and real processes killed at every sixth boundary
	SWEEP_SHARE=$(TURN)/6 $(MAKE) crash
	$(PYTHON) -m pytest -n 2 -m sweep tests --ignore tests/crash --ignore tests/scheduler/test_histories.py

crash: ## real processes killed at every boundary, and at random: some minutes
	$(PYTHON) -m pytest -n 2 -m sweep tests/crash

histories: ## hundreds of nights of batches in virtual time, and planted mistakes that they must find
	$(PYTHON) -m pytest -n 2 -m sweep tests/scheduler/test_histories.py

properties: ## every property with all its examples, and the models of the queue
	EXAMPLES=all $(PYTHON) -m pytest -n 2 tests/queue/test_machine.py tests/queue/test_batch_machine.py tests/unit tests/jobfile

bench: ## ratios of speed, processor time, memory and disk against bare floors, in one table
	$(PYTHON) -m benchmarks

docs: ## write the generated parts of docs/ again
	$(PYTHON) -m docs.generate
