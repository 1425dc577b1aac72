# Two commands: `make demo` and `make test`. Everything they need is installed into .venv and kept under var/.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
SERVE ?= 1
TORCH_INDEX ?=
PYTEST_ARGS ?=
JOBS ?= 2
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: demo clean-demo test test-services check lint types layers migrations deploy-check format bench install static help

help: ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

static/dist/.built: package.json package-lock.json $(shell find static/src -type f 2>/dev/null) | $(VENV)/.installed
	npm ci --no-audit --no-fund --loglevel=error
	npm run --silent build
	@touch $@

install: $(VENV)/.installed static/dist/.built

static: static/dist/.built ## Build the front end

demo: install ## Build the synthetic cohort through the real path and serve it on 127.0.0.1:8000 (SERVE=0: end instead)
	$(PY) manage.py demo $(if $(filter 0,$(SERVE)),--no-serve)

clean-demo: | $(VENV)/bin/python ## Throw the demo's data away
	@if [ -e $(VENV)/.installed ] && [ -d var ]; then $(PY) manage.py clean_demo; else rm -rf var; fi

$(VENV)/.ready-dev: $(VENV)/.installed-dev static/dist/.built
	@touch $@

test: check ## Everything: checks, then the suite on the embedded database and broker, then on named services
	$(PY) -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)
	@if [ -n "$$DATABASE_URL$$CELERY_BROKER_URL" ]; then $(MAKE) --no-print-directory test-services; fi

test-services: $(VENV)/.ready-dev ## The database and queue tests on DATABASE_URL and CELERY_BROKER_URL
	HIPAPP_TEST_EXTERNAL=1 $(PY) -m pytest -m "services or worker" $(PYTEST_ARGS)

check: lint types layers migrations deploy-check ## ruff, mypy, import-linter, migrations, deployment settings

lint: $(VENV)/.ready-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet .

format: $(VENV)/.ready-dev ## Format the Python sources
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

types: $(VENV)/.ready-dev
	HIPAPP_SECRET_KEY=x HIPAPP_IDENTITY_KEY=x $(PY) -m mypy hipapp scoring ml

layers: $(VENV)/.ready-dev
	$(VENV)/bin/lint-imports

migrations: $(VENV)/.ready-dev
	$(PY) manage.py makemigrations --check --dry-run

deploy-check: $(VENV)/.ready-dev
	HIPAPP_PRODUCTION=1 HIPAPP_HOSTS=hips.example.org DATABASE_URL=postgresql:///unused CELERY_BROKER_URL=redis://localhost/0 \
	HIPAPP_SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))') \
	HIPAPP_IDENTITY_KEY=$$($(PY) -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())') \
	$(PY) manage.py check --deploy --fail-level WARNING

bench: $(VENV)/.ready-dev ## Every speed claim, as a ratio measured in one run
	$(PY) -m bench
