# make study   set up and run the embedded study to its table
# make test    set up and run the tests          make check   set up and lint
# make test-cluster | test-slow | bench          what make test leaves out
# make bench-capture                             set up other libraries and compare with them

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   := .venv
RIVALS := .venv-rivals
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: study test test-cluster test-slow check format bench bench-capture clean
.DEFAULT_GOAL := study

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "deltascale needs Python 3.11 or 3.12: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned dependencies into $(VENV) (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $(READY)

study: $(READY)
	$(BIN)/deltascale launch studies/nursery.yaml

# Two processes on two cores, one thread each; a file's tests stay together, they share set-up.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not cluster and not slow and not gpu"

test-cluster: $(READY)
	$(BIN)/python -m pytest -m "cluster and not gpu"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow and not gpu and not cluster"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
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
	rm -rf $(VENV) $(RIVALS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
