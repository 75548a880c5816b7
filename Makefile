# Everything that a fresh machine needs is Python >= 3.11 with venv and pip, and make. `make help` lists the targets.
SHELL := /bin/sh
.SHELLFLAGS := -euc
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test processes: as many as there are processors, at most 8. A test process runs services and workers of its own.
WORKERS ?= auto
# Trust whom the system trusts, where it says so: a site may have a certificate authority of its own.
CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),--system-certs)
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8
# The sources of what is written here, not of what is installed.
# `packaging/build` by name: a folder called build counts as built.
CODE := agent benchmarks examples packaging $(wildcard packaging/build/*.py) router/src tests

.PHONY: help setup demo dev test test-full test-slow test-packaging check fix bench mutants clean deb bundle test-vm \
  images prod \
  check-lint check-format check-types check-imports check-architecture docs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-15s %s\n' "$$name" "$$text"; done

setup: $(READY) ## make .venv with everything that is needed; other targets do it by themselves
	@echo 'ready: $(VENV)'

# The environment is made anew only when what it is made from has changed.
$(READY): pyproject.toml uv.lock
	@echo 'setting up $(VENV)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo 'make: $(PYTHON) is missing or older than 3.11: install Python, or name one: make PYTHON=python3.12' >&2; \
	    exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo 'make: $(PYTHON) has no venv module: on Debian and Ubuntu, apt install python3-venv' >&2; \
	    exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  "uv==$$(sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)"
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --all-extras --no-progress $(CERTS)
	@touch $@

demo: $(READY) ## one job on real data: signed, checked, masked, sealed, opened; and a hostile one
	@$(BIN)/agent demo

PORT ?= 8443
DEV ?= build/dev

dev: $(READY) ## a Router, an agent and a demo source on this machine, until Ctrl-C; PORT=8443, state in build/dev
	@$(BIN)/python -m examples.dev --port $(PORT) --folder $(DEV)

test: $(READY) ## all tests but the slowest
	$(PYTEST)

test-full: test ## all tests; needs root, Docker, mmdebstrap and systemd-nspawn
	@$(MAKE) --no-print-directory test-slow
	@$(MAKE) --no-print-directory test-packaging

REAL := docker or systemd or bundle

test-slow: $(READY) ## only the tests that `make test` leaves out, without those of `make test-packaging`
	$(PYTEST) -m "full and not ($(REAL))"

test-packaging: $(READY) ## images, compose, packages, machines that boot: built and run; needs root
	$(BIN)/python -m pytest -v -m "$(REAL)"

check: check-lint check-format check-types check-imports check-architecture ## lint, format, types, layers, architecture

check-lint: $(READY)
	$(BIN)/ruff check $(CODE)

check-format: $(READY)
	$(BIN)/ruff format --check $(CODE)

check-types: $(READY)
	$(BIN)/mypy

check-imports: $(READY)
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config router/pyproject.toml

check-architecture: $(READY)
	$(BIN)/python -m pytest -q tests/test_architecture.py

fix: $(READY) docs ## format, repair what ruff can repair, write the generated files
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: $(READY)
	$(BIN)/python -m agent.core.reference
	$(BIN)/python -m agent.dialects.reference
	$(BIN)/python -m agent.guard.python.reference
	$(BIN)/python -m agent.settings
	$(BIN)/python -m agent.wire.schemas docs/schema
	$(BIN)/python -m agent.service.schemas docs/schema
	$(BIN)/python -m router.server.reference
	$(BIN)/python packaging/kubernetes/schema.py

bench: $(READY) ## measure, print a table, write benchmarks/results.json
	@$(BIN)/python -m benchmarks

images: $(READY) ## the container images, built without a network; TARGETS='hybrid router', BASE_IMAGE=…
	@$(BIN)/python packaging/build/images.py $(TARGETS)

prod: ## bring up docker-compose.hybrid.yaml, or say what is missing; PROFILE=local-router for a trial
	@packaging/docker/prod.sh

# The interpreter of the Debian release that the package and the bundle are for, X.Y; it has to be here.
TARGET ?= $(shell $(BIN)/python -c 'print("%d.%d" % __import__("sys").version_info[:2])' 2>/dev/null)
WHEELS ?= build/wheelhouse-$(TARGET)
DIST ?= dist
REVISION ?= 1
# Of `make bundle`: the private key that signs, and images as `docker save` wrote them.
KEY ?= release.pem
IMAGES ?=

deb: $(READY) ## the Debian package, in dist; REVISION=1, TARGET=3.11
	@$(BIN)/python packaging/build/wheelhouse.py agent --output $(WHEELS) --python $(TARGET) >/dev/null
	@$(BIN)/python packaging/deb/build.py --wheelhouse $(WHEELS) --revision $(REVISION) --output $(DIST)

bundle: deb ## everything for an installation without a network, signed, in dist; KEY=release.pem IMAGES='a.tar b.tar'
	@$(BIN)/python packaging/bundle/build.py --wheelhouse $(WHEELS) --key $(KEY) --output $(DIST) \
	  --deb $(DIST)/meridyen-agent_*-$(REVISION)_*.deb $(if $(IMAGES),--image $(IMAGES))

test-vm: $(READY) ## the unit in an emulated machine: control groups, kills for want of memory; needs root and QEMU
	@$(BIN)/python -m tests.support.vm

mutants: $(READY) ## mutation score of guard and masking, at least 85 %; SAMPLE=400 SEED=1, ONLY='*.scan.*', SHOW=name
	@nice -n 15 $(BIN)/python -m tests.support.mutants $(if $(ONLY),--only '$(ONLY)') $(if $(SAMPLE),--sample $(SAMPLE)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(PATIENCE),--patience $(PATIENCE)) $(if $(SHOW),--show '$(SHOW)')

clean: ## remove everything that was made here: environment, caches, builds
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f benchmarks/results.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
