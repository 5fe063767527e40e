# EmailFlow's front door. Needs python3, git, make and a network; it fetches the rest into .tools, .venv and
# the user's cache, and the second run finds it there. `make help` says what there is.

PYTHON := .venv/bin/python
PYTEST := .venv/bin/pytest
ENVIRONMENT := .venv/.complete

# Which suites `make test` runs (SUITES="unit integration"), on how many processes, with which options.
SUITES ?= unit contract integration simulation crash
WORKERS ?= 2
PYTEST_ARGS ?=
TESTS = $(wildcard $(addprefix tests/,$(SUITES)))

.DEFAULT_GOAL := help
.PHONY: help demo test check e2e bench generate apiserver

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(ENVIRONMENT) ## Run a small shop's mails on this machine: events in, an inbox and a console to look at
	$(PYTHON) -m emailflow_cli.demo

test: $(ENVIRONMENT) $(if $(filter integration,$(SUITES)),apiserver) ## Run the suites (SUITES="unit integration …")
	$(if $(TESTS),,$(error SUITES: expected folders of tests/, got '$(SUITES)'))$(PYTEST) -q -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) $(TESTS)

check: $(ENVIRONMENT) ## Lint, format, types, import contracts, generated files, the house's own rules
	.venv/bin/ruff check . build
	.venv/bin/ruff format --check . build
	.venv/bin/mypy
	cd build && MYPYPATH=. ../.venv/bin/mypy *.py
	.venv/bin/lint-imports --no-cache
	$(PYTHON) -m emailflow_cli.generate --check
	$(PYTHON) build/chart.py --check
	$(PYTHON) build/argocd.py --check
	$(PYTEST) -q tests/unit/house

e2e: $(ENVIRONMENT) ## Install the chart on a cluster and send a mail through it (kind, or EMAILFLOW_CLUSTER)
	build/e2e

bench: $(ENVIRONMENT) ## Measure, one benchmark after the other
	@for benchmark in benchmarks/*.py; do \
	  echo "== $$benchmark"; $(PYTHON) "$$benchmark" || exit 1; done

generate: $(ENVIRONMENT) ## Write the generated files again: CRDs, schemas, reference pages
	$(PYTHON) -m emailflow_cli.generate
	$(PYTHON) build/chart.py
	$(PYTHON) build/argocd.py

apiserver: $(ENVIRONMENT) ## Build the API server that the tests ask, and Argo CD's own diff (once)
	@$(PYTHON) build/apiserver.py >/dev/null
	@$(PYTHON) build/gitops.py >/dev/null

$(ENVIRONMENT): pyproject.toml uv.lock build/environment.py
	python3 build/environment.py
	@touch $@
