PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready-$(shell pwd | cksum | cut -d " " -f 1)
PEERS  ?= .venv-peers
PEERS_READY := $(PEERS)/$(notdir $(READY))
RAY    ?= .venv-ray
RAY_READY := $(RAY)/$(notdir $(READY))
LOWEST ?= .venv-lowest
LOWEST_READY := $(LOWEST)/$(notdir $(READY))
# where satae meets the libraries with a lowest version; all tests: make test-lowest LOWEST_TESTS=tests
LOWEST_TESTS ?= tests/cli tests/data tests/launchers tests/loggers tests/page tests/plots tests/robustness \
	tests/training tests/test_cli.py tests/test_conf.py tests/test_export.py tests/test_faults.py
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help install run sweep board test test-slow install-ray test-ray install-lowest test-lowest bench bench-eval growth report-bench launchers export-gap control answer soak soak-sweep lint format check clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"satae needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}; name another with: make PYTHON=python3.12")'
	@echo "installing into $(VENV): a minute or two"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(READY) ## Install into .venv

run: $(READY) ## Train on the embedded digits: make run ARGS="alpha=0.1 act=tanh"
	$(BIN)/satae-train $(ARGS)

sweep: $(READY) ## A small sweep: four values of alpha, two activations
	$(BIN)/satae-train --multirun alpha=0,0.01,0.1,1 act=relu,satlin $(ARGS)

board: $(READY) ## Open TensorBoard on outputs/
	$(BIN)/tensorboard --logdir outputs --host 127.0.0.1

test: $(READY) ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n 2 $(ARGS)

test-slow: $(READY) ## Run the tests that train for longer
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n 2 $(ARGS)

# Ray wants older versions of some packages; all others are those of $(VENV)
$(RAY_READY): $(READY)
	@echo "installing Ray into $(RAY), over the packages in $(VENV): a minute or two"
	$(BIN)/python -m venv --clear $(RAY)
	@$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' > $(RAY)/packages.pth
	@mv $(RAY)/packages.pth "$$($(RAY)/bin/python -c 'import site; print(site.getsitepackages()[0])')"
	$(RAY)/bin/pip install --quiet --disable-pip-version-check --editable '.[ray]'
	@touch $@

install-ray: $(RAY_READY)

test-ray: $(RAY_READY) ## Run the tests of launchers under Ray, in an environment of its own
	OMP_NUM_THREADS=1 $(RAY)/bin/python -m pytest tests/test_launchers.py tests/launchers -k ray -n 2 $(ARGS)

$(LOWEST_READY): pyproject.toml
	@echo "installing the lowest versions that pyproject.toml allows into $(LOWEST): a few minutes"
	$(PYTHON) -m venv --clear $(LOWEST)
	grep -oE '[a-z][a-z-]+>=[0-9.]+' $< | sed 's/>=/==/' > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/lowest.txt --editable '.[dev]'
	@touch $@

install-lowest: $(LOWEST_READY)

test-lowest: $(LOWEST_READY) ## Run a part of the tests with the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest -m "not slow" -n 2 $(LOWEST_TESTS) $(ARGS)

$(PEERS_READY): benchmarks/peers.txt
	@echo "installing the peers into $(PEERS): a few minutes"
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/peers.txt
	@touch $@

bench: $(READY) $(PEERS_READY) ## Time satae-train beside its peers, about 25 minutes: make bench ARGS="--quick"
	$(BIN)/python -m benchmarks.compare --peers-python $(PEERS)/bin/python $(ARGS)

bench-eval: $(READY) ## Time the attacks of satae-eval beside AutoAttack and foolbox: make bench-eval ARGS="--quick"
	$(BIN)/python -m benchmarks.evaluation $(ARGS)

growth: $(READY) ## How time and memory grow with data, network, batch and runs, about 5 minutes
	$(BIN)/python -m benchmarks.growth $(ARGS)

report-bench: $(READY) ## Time and memory of satae-report for 200 and for 2,000 runs
	$(BIN)/python -m benchmarks.report_size $(ARGS)

launchers: $(READY) ## One sweep under each launcher: the same numbers, and what each costs, a few minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.launchers $(ARGS)

export-gap: $(READY) ## How far exported models are from the model, in each format, a few minutes
	$(BIN)/python -m benchmarks.export_gap $(ARGS)

control: $(READY) ## Attack honest classifiers and others whose gradients are hidden, and print the verdicts, about 40 minutes
	GOMP_SPINCOUNT=2000 $(BIN)/python -m benchmarks.control $(ARGS)

answer: $(READY) ## Train networks with and without the penalty, attack them, print the table; resumes where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.answer $(ARGS)

soak: $(READY) ## Kill 100 runs and end 50 at random moments, resume and compare them, about 25 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.soak $(ARGS)

soak-sweep: $(READY) ## Kill a sweep of 40 runs at 20 random moments, resume it and compare, about 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.sweep_soak $(ARGS)

lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test ## lint and test

clean: ## Remove the environments and what tools left; outputs/ stays
	rm -rf $(VENV) $(PEERS) $(RAY) $(LOWEST) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find benchmarks conf src tests -name __pycache__ -type d -prune -exec rm -rf {} +
