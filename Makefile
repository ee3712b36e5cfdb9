# Everything happens in .venv, which the first target that needs it builds.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(if $(LOOKAHEAD_BENCH_DATA),$(LOOKAHEAD_BENCH_DATA),data)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/ready: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -q --compile-bytecode -e '.[dev]'
	touch $@

.PHONY: install
install: $(VENV)/ready ## Build .venv with the project and everything that its tests need

.PHONY: demo
demo: $(VENV)/ready ## Compare four optimizers on the embedded digits over 3 seeds: a table and a figure (offline)
	$(BIN)/lookahead-bench -m optimizer=sgd,adam,lookahead,multilayer seed=1,2,3 tracker=none results_dir=results/demo
	$(BIN)/lookahead-bench report results_dir=results/demo

.PHONY: test
test: $(VENV)/ready ## Lint, type-check and test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: test-faults
test-faults: $(VENV)/ready ## Inject every kind of fault, the long and the rare ones too (under 10 minutes on two cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'fault and not control'

.PHONY: lint
lint: $(VENV)/ready ## Lint and type-check only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/ready ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: results
results: $(VENV)/ready ## Regenerate the tables, curves and verdicts of every study in results/studies from its stored runs
	for study in results/studies/*/; do $(BIN)/lookahead-bench report results_dir=$${study%/} || exit 1; done

.PHONY: figures-theory
figures-theory: $(VENV)/ready ## Regenerate every theory figure from nothing (deep_vae needs MNIST in DATA)
	rm -rf results/theory
	OMP_NUM_THREADS=1 $(BIN)/lookahead-bench figures results_dir=results/theory data_dir=$(DATA)

.PHONY: figures
figures: figures-theory ## Regenerate every figure: theory and small networks from nothing (CIFAR-10 in DATA), GANs from their stored runs
	$(BIN)/lookahead-bench figures digits/grid digits/inner_loop digits/momentum digits/robustness digits/surface results_dir=results/digits
	$(BIN)/lookahead-bench figures cifar/surface results_dir=results/cifar data_dir=$(DATA)
	$(BIN)/lookahead-bench figures gan/ring results_dir=results/studies/gan_ring_cpu
	$(BIN)/lookahead-bench figures gan/mnist results_dir=results/studies/mnist_gan_cpu data_dir=$(DATA)

.PHONY: bench
bench: $(VENV)/ready ## Measure the speed of the training loop and of the optimizers on this machine
	$(BIN)/lookahead-bench bench

.PHONY: clean
clean: ## Remove .venv and caches; results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
