# `make help` lists the targets. Everything runs in .venv, made from pyproject.toml alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "botdeck needs Python >= 3.11; try make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(READY) ## Open the console on a small fleet with an embedded Telegram and scripted people.
	@exec $(BIN)/botdeck demo

test: $(READY) ## Run the whole test suite.
	$(BIN)/pytest -n 4

format: $(READY) ## Format the code.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

package: $(READY)
	$(BIN)/pytest tests/packaging -m packaging

check: lint types imports test package ## Format, lint, types, import contracts, tests, packaging.

bench: $(READY) ## Measure everything beside the peers, in some 25 minutes; BENCH="--write" passes options on.
	$(BIN)/python -m tests.bench $(BENCH)

chaos: $(READY) ## Kill the fleet at random moments, in calm and in storm; CHAOS="--kills 30 --seed 7" passes options on.
	$(BIN)/python -m tests.chaos $(CHAOS)

MINUTES ?= 30
soak: $(READY) ## Let a fleet live a busy half hour (MINUTES=30) and see that nothing grows.
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

powercut: $(READY) ## Cut the power at every sync of the store, also with failing devices: nothing acknowledged is missing.
	$(BIN)/python -m tests.storage power --seeds 3

storage: $(READY) ## Fill a database of 2.5 GB; open it, serve, check, copy and prune it.
	$(BIN)/python -m tests.storage large

network: $(READY) ## Take the network away from 300 bots in every way, for ten minutes held in hand.
	$(BIN)/python -m tests.network

neighbours: $(READY) ## Measure what the others notice of a bot that blocks, floods, swells or crashes.
	$(BIN)/python -m tests.neighbours

hostile: $(READY) ## Spoil 10,000 files of a fleet: a good bot or an error with its place, never a traceback.
	$(BIN)/python -m tests.hostile

screenshot: $(READY) ## Take the pictures of README and docs/console.md from the demo.
	$(BIN)/python -m tests.screenshots

docs: $(READY) ## Write the generated parts of the documentation anew.
	$(BIN)/python -m config.reference
	$(BIN)/python -m console.tui.reference

clean: ## Remove what the other targets made.
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.PHONY: help demo test format lint types imports package check bench chaos soak powercut storage network neighbours hostile screenshot docs clean
