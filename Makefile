# Each target sets up what it needs on a fresh machine: Python 3.11 or later, pip and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The CPU build of torch: small, and all that the embedded study needs. TORCH=torch takes the platform's default build.
TORCH ?= torch==2.13.*
export OMP_NUM_THREADS := 1

.PHONY: setup demo test chaos lint check bench simulate clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)" -c constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[engine,gguf,deepspeed,dev]" -c constraints.txt
	touch $(STAMP)

demo: setup
	$(BIN)/fewtune run jobs/studies/demo.yaml

# Files of tests side by side, in their order: the long ones come first.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# With bitsandbytes, which `make setup` leaves out: every process that computes would start a second later.
chaos: setup
	$(BIN)/python -m pip install --quiet -e ".[qlora]" -c constraints.txt
	$(BIN)/python -m pytest -m "chaos or qlora"

lint: setup
	$(BIN)/ruff check app jobs tests
	$(BIN)/ruff format --check app jobs tests
	$(BIN)/lint-imports

# Types last: pyright fetches a program of its own when it first runs.
check: lint
	$(BIN)/pyright

bench: setup
	$(BIN)/python -m pip install --quiet -e ".[bench]" -c constraints.txt
	$(BIN)/python -m jobs.bench

# Coverage of intervals and errors of tests, into docs/coverage.md.
simulate: setup
	$(BIN)/python -m jobs.simulate

clean:
	rm -rf $(VENV) stores build dist *.egg-info .pytest_cache .ruff_cache
