# The doors of the house. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
BASE   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench mutants lock image clean setup

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: setup ## Everything on this machine: brokers, stages, 50 vehicles (ARGS="--for 60s --json")
	@$(BIN)/telltale demo $(ARGS)

test: setup ## Lint, types, import contracts and all tests, on a real Kafka, MQTT broker and Kubernetes API server
	@$(BIN)/python -m tests.everything $(ARGS)

lint: setup ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: setup ## The figures of the README, each beside a peer in the same run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

mutants: setup ## Break twenty chosen lines, one at a time: a test must notice each
	@$(BIN)/python -m tests.mutations $(ARGS)

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

lock: setup ## Resolve requirements.lock anew from pyproject.toml, and the image's two from it
	@$(BIN)/python -m pip install --quiet uv
	@$(LOCK) --all-extras --group test pyproject.toml -o requirements.lock
	@$(LOCK) --extra k8s -c requirements.lock pyproject.toml -o k8s/image/requirements.lock
	@grep -o '^hatchling==[^ ]*' requirements.lock | $(LOCK) -c requirements.lock - -o k8s/image/build.lock

image: ## Build the image by docker (BASE=python:3.11-slim@sha256:…, see docs/kubernetes-install.md)
	@case '$(BASE)' in *@sha256:*) ;; *) echo 'BASE must name a digest: make image BASE=python:3.11-slim@sha256:…' >&2; exit 2 ;; esac
	docker build --file k8s/image/Dockerfile --build-arg BASE='$(BASE)' --build-arg REVISION="$$(git rev-parse HEAD)" --tag telltale .

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Telltale needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 lacks venv: on Debian and Ubuntu, apt install python3-venv" >&2; exit 2; }
	@echo "Installing Telltale into $(VENV) (once)"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@
