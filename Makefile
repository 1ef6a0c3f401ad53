# One file for the whole way of working; `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL ?=
LANGUAGE ?=
# The demo's question and seed are chosen so that the draft has a flaw for the challenger to find.
ifndef PROMPT
PROMPT := Write a Python function average(numbers) that returns the mean of a list of numbers.
SEED ?= 2
endif
# In the environment, not in the command line: a question may hold any quotes.
export PROMPT
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

.PHONY: help setup setup-dev weights demo serve test test-live faults chaos doubles check wheels docs lock \
	clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 4; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/pyvenv.cfg requirements/run.lock pyproject.toml
	$(BIN)/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/run.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.lock
	$(BIN)/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/dev.lock
	@touch $@

setup: $(VENV)/run.stamp  ## make .venv with all that running needs
setup-dev: $(VENV)/dev.stamp  ## the same, with all that testing needs

weights: setup  ## fetch the models of demo and tests, once (the only step with network after set-up)
	@$(BIN)/agent-lab models pull $(or $(MODEL),qwen2.5-coder-1.5b) smollm2-135m

demo: weights  ## watch three roles debate on a real local model (MODEL=KEY, PROMPT="…", LANGUAGE=es)
	@printf '%s\n' "$$PROMPT" >&2
	@$(BIN)/agent-lab run challenge "$$PROMPT" --stream --model $(or $(MODEL),qwen2.5-coder-1.5b) \
		$(if $(SEED),--seed $(SEED)) $(if $(LANGUAGE),--lang $(LANGUAGE))

serve: weights  ## serve flows and models over HTTP, on this machine only (PORT=8001)
	@$(BIN)/agent-lab serve $(if $(PORT),--port $(PORT))

test: setup-dev weights  ## run the tests, offline
	$(BIN)/python -m pytest

test-live: setup-dev  ## smoke tests against the real hosts whose key is set (they cost a little)
	$(BIN)/python -m pytest -m live -o addopts="--strict-markers -ra" tests/live

faults: setup-dev  ## print what the gateway makes of every way in which a host can fail
	$(BIN)/python -m tests.faults.matrix

chaos: setup-dev  ## kill processes at random, hundreds of times, and count what is lost or paid twice
	$(BIN)/python -m tests.chaos.campaign --database sqlite --kills 500
	$(BIN)/python -m tests.chaos.campaign --database sqlite --kills 60 --workers 2
	$(BIN)/python -m tests.chaos.campaign --database postgres --kills 100
	$(BIN)/python -m tests.chaos.campaign --database sqlite --every-event
	$(BIN)/python -m tests.chaos.campaign --database postgres --every-event

doubles:  ## install the independent doubles of the two wires, for the heavy tests
	@PYTHON=$(PYTHON) tests/doubles/install.sh

check: setup-dev  ## lint, types, layers, and that the pins resolve for newer Pythons
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/python scripts/generate_docs.py --check
	@$(MAKE) --no-print-directory wheels

wheels: setup-dev
	@for version in 3.12 3.13; do \
		echo "pins resolve as wheels for Python $$version"; \
		$(BIN)/python -m pip install -qq --dry-run --ignore-installed --only-binary=:all: \
			--python-version $$version --require-hashes -r requirements/dev.lock; \
	done

docs: setup-dev  ## write the generated pages of docs/
	$(BIN)/python scripts/generate_docs.py

lock: setup-dev  ## renew requirements/*.lock from pyproject.toml
	$(LOCK) --extra all pyproject.toml requirements/build.in -o requirements/run.lock
	$(LOCK) --extra dev pyproject.toml requirements/build.in -o requirements/dev.lock
	$(LOCK) requirements/doubles.in -o requirements/doubles.lock
	$(LOCK) --exclude-newer 2026-11-18 requirements/peers.in -o requirements/peers.lock

clean:  ## remove what was built
	rm -rf $(VENV) .venv-doubles .venv-peers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
