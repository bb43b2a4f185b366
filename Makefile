# `make help` lists the targets. Everything runs from the lock, in .venv of this checkout; uv is fetched by pip when it is missing.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python
SOURCES := src tests bench scripts
ARGS ?=

# Compiled modules are part of the start-up time that we test and measure.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'

.PHONY: demo
demo: ## Watch a scripted model drive the real loop and tools: data, script, training, report
	@$(find-uv); $(need-python); "$$uv" run --quiet --locked --no-default-groups --extra demo ml-intern demo $(ARGS)

.PHONY: test
test: .venv/synced ## Run the tests, in parallel and random order (ARGS="-k word" to choose)
	@$(PYTHON) -m pytest $(ARGS)

.PHONY: check
check: .venv/synced ## Format, lint, types, import layers, size budget, generated docs, lock
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/pyright
	.venv/bin/lint-imports --no-cache --no-logo
	$(PYTHON) -m pytest tests/architecture/test_budgets.py -q -n0 -p no:randomly
	$(PYTHON) scripts/generate_docs.py --check
	@$(find-uv); "$$uv" lock --check

.PHONY: fmt
fmt: .venv/synced ## Format the code and fix what the linter can fix
	.venv/bin/ruff check --fix --exit-zero $(SOURCES)
	.venv/bin/ruff format $(SOURCES)

.PHONY: bench
bench: .venv/synced ## Measure speed and memory beside two floors (ARGS=--quick, ARGS="--json out.json")
	@$(PYTHON) -m bench $(ARGS)

.PHONY: docs
docs: .venv/synced ## Write again the pages that are generated from the code
	$(PYTHON) scripts/generate_docs.py

.PHONY: clean
clean: ## Remove the environment and every cache
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist

# ── the environment ──────────────────────────────────────────────────────────────────────────────────────────────────

define find-uv
uv=$$(scripts/bootstrap_uv.sh) || exit 1
endef

define need-python
"$$uv" python find --quiet '>=3.11' >/dev/null 2>&1 || "$$uv" python install 3.12 || { \
	echo "ml-intern needs Python 3.11 or newer; none was found and none could be fetched. Install python3.11 (or newer) and run make again." >&2; exit 1; }
endef

.venv/synced: pyproject.toml uv.lock
	@$(find-uv); $(need-python); "$$uv" sync --quiet --locked --all-extras
	@touch $@
