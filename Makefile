# The two commands of the README are `make scan` and `make test`; everything else is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: scan test check format bench docs clean tower

scan: $(STAMP) tower  ## examine examples/ and write report/index.html
	$(BIN)/unmask scan examples --html report

test: $(DEV_STAMP) tower  ## install what the tests need and run them all
	scripts/system-packages
	$(BIN)/pytest -n $(JOBS) --dist loadgroup

tower: $(STAMP)  ## fetch the large picture model once; without it the small one answers alone
	@$(BIN)/unmask models get clip-vit-b16 || \
	  echo "Going on without it: the small model answers alone, with its own error rates." >&2

check: $(DEV_STAMP)  ## format, lint, types
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

format: $(DEV_STAMP)
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: $(DEV_STAMP)  ## measure speed and memory, write docs/performance.md
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) report

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Unmask needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(STAMP)

docs: $(DEV_STAMP)  ## write docs/detectors.md from the cards
	$(BIN)/python -m unmask_lab.detectors_page
