# make study   set up and run the embedded study to its table (make setup: set up only)
# make test    set up and run the tests          make check   set up and lint
# make test-cluster | test-slow | bench          what make test leaves out
# make bench-capture                             set up other libraries and compare with them
# make docs    build the documentation into site/ (open site/index.html; no network needed)
# make readme-figure   make the README's figure and table again from the embedded study

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   := .venv
RIVALS := .venv-rivals
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.dev
DOCS   := $(VENV)/.docs
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup study test test-cluster test-slow check format docs readme-figure bench bench-capture clean
.DEFAULT_GOAL := study

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "deltascale needs Python 3.11 or 3.12: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned dependencies into $(VENV) (a few minutes the first time)"
	$(PIP) setuptools
	$(PIP) torch
	$(PIP) --no-build-isolation -e .
	@touch $@

$(DEV): $(READY)
	@echo "installing what tests and checks need"
	$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@

$(DOCS): $(READY)
	@echo "installing what builds the documentation"
	$(PIP) --no-build-isolation -e '.[docs]'
	@touch $@

setup: $(READY)

study: $(READY)
	$(BIN)/deltascale launch studies/nursery.yaml

# Two processes on two cores, one thread each; a file's tests stay together, they share set-up, and
# files keep their order: those of few and long tests would come last otherwise, one process idle.
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  --durations 10 -m "not cluster and not slow and not gpu"

test-cluster: $(DEV)
	$(BIN)/python -m pytest -m "cluster and not gpu"

test-slow: $(DEV)
	$(BIN)/python -m pytest -m "slow and not gpu and not cluster"

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.doors
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs/test_links.py

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@! grep -rnoE '<(script|link|img|iframe)[^>]*(src|href)="?https?://[^" >]+' site --include=*.html
	@echo "site/index.html"

# The figure and the table in README.md, from a root where the study may be finished already.
readme-figure: $(READY)
	$(BIN)/deltascale launch studies/nursery.yaml
	cp $${DELTASCALE_ROOT:-results}/studies/nursery/figures/table/mean_cosine-against-size.svg docs/assets/
	$(BIN)/deltascale compare nursery --metric mean_cosine --where objective=dpo \
	  --where condition=rot13,base64,neutral --format markdown > docs/assets/mean_cosine.txt

bench: $(DEV)
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.dispatch
	$(BIN)/python -m benchmarks.extraction
	$(BIN)/python -m benchmarks.moments
	$(BIN)/python -m benchmarks.analysis
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.recovery
	$(BIN)/python -m benchmarks.report

$(RIVALS)/.ready: constraints.txt benchmarks/rivals.txt
	@test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/rivals.txt
	@touch $@

bench-capture: $(RIVALS)/.ready
	$(RIVALS)/bin/python -m benchmarks.capture

clean:
	rm -rf $(VENV) $(RIVALS) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
