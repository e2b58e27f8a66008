# Every target sets up what it needs. Python 3.11+ and make are all that must be there before.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run demo test lint types format check permissions lock advisories bench coverage screenshots messages clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|' 2>/dev/null || \
	 grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST)

install: $(VENV)/.runtime ## Make the virtual environment with the locked dependencies

run: $(VENV)/.runtime ## Set up everything and serve on http://HOST:PORT (default 127.0.0.1:8000) until interrupted
	@exec $(BIN)/cms-services run

demo: $(VENV)/.runtime ## Fill an empty installation with an invented company
	@$(BIN)/cms-services demo

test: $(VENV)/.test ## Run the test suite (PYTEST_ARGS='-k name' narrows it)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Apart from what CI runs: counting slows the suite, which has a limit of ten minutes.
coverage: $(VENV)/.test ## Run the suite, and show which lines it did not reach
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(VENV)/.test ## Check style, common faults, the import contract and the advisories about what we lock
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/python -m requirements.audit

types: $(VENV)/.test ## Check the types of the package
	@$(BIN)/mypy

format: $(VENV)/.test ## Rewrite the code in the house style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

check: lint types test ## All that CI checks

bench: $(VENV)/.test ## Measure the hot paths against a bare Flask view, and downloads beside them (needs wrk)
	@$(BIN)/python -m benchmarks.reads_and_creates && $(BIN)/python -m benchmarks.downloads

screenshots: $(VENV)/.test ## Photograph every page at two widths, light and dark, into build/screenshots (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots build/screenshots $(PAGES)

messages: $(VENV)/.runtime ## Collect the pages' strings into the catalogues, and compile what is translated
	@$(BIN)/pybabel -q extract -F babel.cfg -k lazy_gettext -k _n:1,2 -k worded --no-location --sort-output --project=cms-services -o cms_services/translations/messages.pot cms_services templates
	@$(BIN)/pybabel -q update --width=100 -N --no-fuzzy-matching -i cms_services/translations/messages.pot -d cms_services/translations
	@$(BIN)/pybabel -q compile -d cms_services/translations

permissions: $(VENV)/.runtime ## Write docs/permissions.md anew from what the code declares
	@$(BIN)/cms-services permissions docs/permissions.md

lock: $(VENV)/.test ## Resolve setup.cfg's ranges anew into requirements/*.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade setup.cfg -o requirements/runtime.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --extra test -c requirements/runtime.lock setup.cfg -o requirements/test.lock

# Where a network is needed: the check itself reads the extract alone.
advisories: $(VENV)/.test ## Refresh requirements/advisories.json (CHECKOUT=folder of the database spares the clone)
	@$(BIN)/python -m requirements.refresh_advisories $(CHECKOUT)

clean: ## Remove the virtual environment and build leftovers (never the data folder)
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Some systems ship Python without ensurepip; virtualenv from the registry then makes the environment.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; call make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  $(PYTHON) -m pip install -q --target $(VENV).bootstrap virtualenv && PYTHONPATH=$(VENV).bootstrap $(PYTHON) -m virtualenv -q $(VENV); \
	  status=$$?; rm -rf $(VENV).bootstrap; \
	  [ $$status -eq 0 ] || { echo "no virtual environment could be made; install your system's python3-venv package"; exit 1; }; }

# The locks are complete, so that nothing is left for pip to resolve: it would look at releases that came
# after the lock, and refuse them for their hashes.
$(VENV)/.runtime: $(VENV)/bin/python requirements/runtime.lock setup.cfg pyproject.toml
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/runtime.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime requirements/test.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/test.lock
	@touch $@
