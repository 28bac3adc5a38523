# The words of this project. `make` alone lists them. Everything happens in .venv: no root, nothing outside it.
# Tests run in as many processes as there are processors, eight at most; WORKERS=0 runs them in one.
#
# A .venv that is there already is used. Packages come from wherever your pip is set up to look; on Linux a plain
# install of torch brings the CUDA build (several GB): point PIP_INDEX_URL or PIP_EXTRA_INDEX_URL at an index with
# CPU builds first if you want the small one.

VENV := .venv
BIN := $(VENV)/bin
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
TESTS ?= tests
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test test-ray test-browser test-all gpu check fix bench
.DELETE_ON_ERROR:

help: ## list these words
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/.demo-installed ## set up .venv, then dub examples/videos into dubbed/
	$(BIN)/mfv2a dub examples/videos --out dubbed

test: $(VENV)/.dev-installed ## set up .venv, then run the tests, all but slow, gpu, weights, browser and ray
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadscope $(TESTS)

test-ray: $(VENV)/.ray-installed ## run the tests on a Ray cluster of two nodes, all on this machine
	$(BIN)/python -m pytest -m ray $(TESTS)

test-browser: $(VENV)/.dev-installed ## run the tests of the page in headless Chromium, where chromium and chromedriver are
	$(BIN)/python -m pytest -m browser $(TESTS)

test-all: $(VENV)/.dev-installed ## run every test that this machine has the means for
	$(BIN)/python -m pytest -m '' $(TESTS)

gpu: $(VENV)/.dev-installed ## on a machine with a GPU: parity, batches, memory, derivatives; times into gpu.json
	@$(BIN)/python -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "error: torch sees no GPU here")'
	$(BIN)/python -m pytest -m gpu --timeout 300 tests/test_gpu.py
	$(BIN)/mfv2a bench --device cuda --steps 1 --steps 25 --json | tee gpu.json

check: $(VENV)/.dev-installed ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict

fix: $(VENV)/.dev-installed ## repair what lint and formatting can repair; renew the tables made from the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python scripts/run_reference.py --write
	$(BIN)/python scripts/options_table.py --write

bench: $(VENV)/.demo-installed ## time the stages of a dub here, in one step and in 25
	$(BIN)/mfv2a bench --steps 1 --steps 25

$(VENV)/.demo-installed: pyproject.toml | $(BIN)/python
	@echo "installing mfv2a into $(VENV) (the first time PyTorch is downloaded, which takes minutes)"
	$(PIP) -e .
	@touch $@

$(VENV)/.dev-installed: pyproject.toml | $(BIN)/python
	@echo "installing mfv2a and its tools into $(VENV) (the first time PyTorch is downloaded, which takes minutes)"
	$(PIP) -e '.[dev]'
	@touch $(VENV)/.demo-installed $@

$(VENV)/.ray-installed: $(VENV)/.dev-installed
	$(PIP) -e '.[dev,ray]'
	@touch $@

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  command -v "$$python" >/dev/null 2>&1 || continue; \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found=$$python; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  echo "setting up $(VENV) with $$python"; \
	  exec "$$python" -m venv $(VENV); \
	done; \
	if [ -n "$$found" ]; then \
	  echo "error: $$found cannot make virtual environments - install its venv module (Debian: python3-venv)" >&2; \
	else \
	  echo "error: no Python 3.11 or newer was found - install one, or run make PYTHON=/path/to/python" >&2; \
	fi; \
	exit 1
