# `make help` lists the targets. VENV=DIR reuses an environment that exists, or builds one there.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/attrpriors.lock
export PYTHONPATH := src
export PYTHONUNBUFFERED := 1

# each is a target: make images, make quick/health
EXPERIMENTS := $(patsubst conf/experiment/%.yaml,%,$(wildcard conf/experiment/*.yaml conf/experiment/*/*.yaml))

.DEFAULT_GOAL := help
.PHONY: help reproduce paper data report docs bench bench-quick test lint check $(EXPERIMENTS)

help:  ## this list
	@grep -hE '^[a-z_ -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "  make NAME         one of the experiments below: make images, make quick/health"
	@echo
	@echo "A run is a choice of each of these, python run.py data=mnist_5k prior=total_variation; what is not chosen is usual."
	@echo
	@$(PYTHON) src/attrpriors/choices.py

# The copy of the lock file inside the environment says what it holds: an interrupted installation is taken up again.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@echo "the environment in $(VENV): some minutes and 5 GB the first time"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	cp requirements.lock $@

REPRODUCED := $(shell sed -n 's/^\([a-z_/]*\):$$/\1/p' experiments/reproduce.yaml)

reproduce: $(REPRODUCED)  ## the three families at quick scale on embedded data, no download; checked claim by claim
	@$(RUN) -m attrpriors.report --check

data: $(READY)  ## fetch every real data set, check sha256, prepare tables (MIRROR=DIR or address: copy from there)
	$(RUN) -m attrpriors.data.download $(if $(MIRROR),--mirror "$(MIRROR)")

$(EXPERIMENTS): $(READY)
	$(RUN) run.py experiment=$@

paper: images drug_response health  ## the three families on real data (after make data)

report: $(READY)  ## results/report.html, and the tables of results/ inside README.md and experiments/
	$(RUN) -m attrpriors.report

docs: $(READY)  ## the documentation of the library, from its docstrings: docs/attrpriors.html
	$(RUN) -m pdoc --template-directory documentation --output-directory docs attrpriors '!attrpriors[.]'

bench: $(READY)  ## what a prior costs, beside other people's code, 15 minutes (AUTHORS=CHECKOUT: theirs too; DEVICE=cuda)
	$(RUN) -m attrpriors.bench --grow $(if $(AUTHORS),--authors "$(AUTHORS)") $(if $(DEVICE),--device $(DEVICE))

bench-quick: $(READY)  ## the same in three minutes, without VGG16
	$(RUN) -m attrpriors.bench --quick $(if $(AUTHORS),--authors "$(AUTHORS)") $(if $(DEVICE),--device $(DEVICE))

test: $(READY)  ## the tests (no network, no GPU)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal

lint: $(READY)  ## format, lint and types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

check: lint test  ## what continuous integration runs
