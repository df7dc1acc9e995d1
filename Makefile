# Every target makes the virtual environment it needs. Once that is there, nothing asks the network again.
PYTHON ?= python3
VENV   ?= .venv
PYTEST_ARGS ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.ready-$(shell cat pyproject.toml tools/bootstrap.sh | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types layers docs bench format faults storm stress django-suite clean clean-venv

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(STAMP):
	@tools/bootstrap.sh $(PYTHON) $(VENV) $(STAMP)

demo: $(STAMP) ## Load 336,776 flights into SQLite and perform every verb on them
	@$(BIN)/python manage.py demo

test: $(STAMP) ## Run the tests on SQLite, and on PostgreSQL and MariaDB where they answer
	@$(BIN)/python -m tools.test_matrix $(PYTEST_ARGS)

check: lint types layers docs ## Lint, types, layers, and the docs with their examples executed

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/basedpyright tests/typing

layers: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m pytest -q tests/docs
	$(BIN)/sphinx-build -q -W -n -b html docs docs/_build/html

bench: $(STAMP) ## Measure against what one would write by hand
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

faults: $(STAMP) ## Break databases in 34 ways and report what the guard makes of each
	@$(BIN)/python -m tests.faults.report $(FAULTS_ARGS)

storm: $(STAMP) ## Random faults against 16 threads of 4 processes for ten minutes, then count what is there
	@$(BIN)/python -m tests.faults.storm $(STORM_ARGS)

stress: $(STAMP) ## 4 processes write rows that 6 read through caches, and every stale one is counted
	@$(BIN)/python -m tests.stress.caching $(STRESS_ARGS)

django-suite: $(STAMP) ## Run Django's own tests with Repository as every model's manager
	@$(BIN)/python -m tools.django_suite

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the targets made, except the virtual environment
	rm -rf .cache .tox build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

clean-venv:
	rm -rf $(VENV)
