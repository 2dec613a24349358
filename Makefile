# Mintari. `make run` is all it takes; `make help` lists the rest.
# Needs Python 3.11 or newer and make, nothing else. Other folder for the environment: VENV=...

VENV ?= .venv
ARGS ?=
PY := $(VENV)/bin/python
STAMPS := $(VENV)/.mintari
PIP := $(PY) -m pip --disable-pip-version-check -qq install
COMPILE := $(PY) -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url --no-emit-find-links
HERE := --extra local --extra embedded
IN_THE_IMAGE := --extra local --extra otel

# Pyright brings its own Node (a wheel of the test requirements) and asks the network for nothing.
export PYRIGHT_PYTHON_GLOBAL_NODE := off
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run page test web lint types imports sdl tests docs chaos fuzz bench format schema lock clean help

run: page ## start everything: PostgreSQL, Valkey, the API and a worker
	@exec $(PY) -m mintari up $(ARGS)

page: $(STAMPS)/run ## build the page, if it has changed
	@$(PY) -m mintari.webbuild

test: lint types imports sdl web tests ## all checks and tests; ARGS="-k name" chooses tests

lint: $(STAMPS)/dev ## style and common mistakes
	@echo "lint    ruff"
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --diff .

types: $(STAMPS)/dev ## types, strict
	@echo "types   pyright"
	@$(PY) -m pyright --pythonpath $(PY)

imports: $(STAMPS)/dev ## packages import each other in one direction only
	@echo "imports import-linter"
	@$(VENV)/bin/lint-imports >$(STAMPS)/imports.log || { cat $(STAMPS)/imports.log; exit 1; }

sdl: $(STAMPS)/dev ## schema/schema.graphql is what the code says
	@echo "sdl     schema/schema.graphql"
	@$(PY) -m mintari schema | diff -u schema/schema.graphql - \
		|| { echo "schema/schema.graphql is not what the code says: run 'make schema'"; exit 1; }

web: $(STAMPS)/dev ## the page: contract, types, style, unit tests
	@echo "web     codegen, tsc, oxlint, vitest"
	@$(PY) -m mintari.webbuild --check

# Two at a time; what kills processes or drives a browser has the machine for itself.
tests: $(STAMPS)/dev ## the tests alone
	@echo "tests   pytest"
ifeq ($(ARGS),)
	@$(PY) -m pytest --numprocesses 2 --dist loadfile tests/parts tests/flows
	@$(PY) -m pytest tests/browser tests/chaos
else
	@$(PY) -m pytest $(ARGS)
endif

chaos: $(STAMPS)/dev ## the long form of the chaos suite, some ten minutes: docs/reliability.md
	@CHAOS=long $(PY) -m pytest tests/chaos $(ARGS)

fuzz: $(STAMPS)/dev ## operations at random for a minute, others each time
	@FUZZ=long $(PY) -m pytest tests/parts/test_fuzzing.py $(ARGS)

bench: $(STAMPS)/dev ## how fast it is beside others, some 15 minutes; ARGS="fanout --quick" for a part
	@$(PY) -m tests.bench $(ARGS)

format: $(STAMPS)/dev ## rewrite the code in the one style
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format .

schema: $(STAMPS)/dev ## write schema/schema.graphql
	@$(PY) -m mintari schema >$(STAMPS)/schema.graphql
	@mv $(STAMPS)/schema.graphql schema/schema.graphql

lock: $(STAMPS)/dev ## pin the requirements anew; ARGS=--upgrade takes the newest
	@$(COMPILE) $(HERE) --group build $(ARGS) -o requirements.txt
	@$(COMPILE) $(HERE) --group dev -c requirements.txt $(ARGS) -o requirements-dev.txt
	@$(COMPILE) $(IN_THE_IMAGE) --group build -c requirements-dev.txt -o deploy/requirements.txt

clean: ## remove the environment and caches (never your data)
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The environment: made once, renewed when a file it is made from has changed ---

$(STAMPS)/venv:
	@set -e; found=; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$candidate; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Mintari needs Python 3.11 or newer; found: $$(command -v python3 >/dev/null && python3 --version 2>&1 || echo none)."; \
		echo "Install it (python.org, apt, brew, uv), or name it: make run PYTHON=/path/to/python3.11"; \
		exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "This Python cannot make environments (no venv or ensurepip): $$(command -v $$found)."; \
		echo "On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; \
	fi; \
	if [ -e "$(VENV)" ] && [ ! -f "$(VENV)/pyvenv.cfg" ]; then \
		echo "$(VENV) exists and is no Python environment: name another one with VENV=..."; exit 1; \
	fi; \
	echo "Making the environment $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear "$(VENV)"; \
	mkdir -p $(STAMPS); touch $@

$(STAMPS)/requirements: requirements.txt | $(STAMPS)/venv
	@echo "Installing $$(grep -c == requirements.txt) pinned packages (once; takes a minute or so)"
	@$(PIP) --require-hashes -r requirements.txt
	@touch $@

$(STAMPS)/run: $(STAMPS)/requirements pyproject.toml
	@echo "Installing the command mintari into $(VENV)/bin"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: requirements-dev.txt $(STAMPS)/run
	@echo "Installing what the tests need (once)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@
