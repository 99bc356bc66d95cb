# Everything sets itself up: Python >= 3.11, Node >= 20 with npm, and make are enough.
#   make demo    a recorded day becomes paid sessions on a local chain, and is audited
#   make test    every check and every test
#   make help    the rest

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
NODE_BIN := node_modules/.bin
BROWNIE_VENV := .venv-brownie

# Stamps: a set-up step runs again only when the file that locks it changes.
PYTHON_READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
BROWNIE_READY := $(BROWNIE_VENV)/.ready
PROVE_VENV := .venv-prove
PROVE_READY := $(PROVE_VENV)/.ready
PEERS := benchmarks/peers
PEERS_READY := $(PEERS)/node_modules/.ready

PIP_FLAGS := --quiet --disable-pip-version-check --no-input
DEMO := build/demo
SAMPLE ?= examples/calls.csv
TARIFFS ?= examples/tariffs.toml
SESSIONS ?= 30000

.PHONY: kills help setup demo test check unit bench gas peers forge-test brownie-test brownie-env build format lock clean coverage mutate differential slither prove fuzz docs

help:  ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(PYTHON_READY) $(NODE_READY)  ## install what the lock files name, in .venv and node_modules

$(PYTHON_READY): requirements/dev.txt pyproject.toml
	@[[ -n "$(PYTHON)" ]] || { echo "Python 3.11 or newer is needed and was not found; name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11" >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@[[ -x $(BIN)/python ]] || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_READY): package.json package-lock.json .npmrc
	@command -v node >/dev/null || { echo "Node 20 or newer is needed and was not found" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is needed (it comes with Node) and was not found" >&2; exit 1; }
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || { echo "Node 20 or newer is needed; this is $$(node --version)" >&2; exit 1; }
	@echo "setting up node_modules ..."
	@npm ci --loglevel=error --no-progress >/dev/null
	@touch $@

brownie-env: $(BROWNIE_READY) $(NODE_READY)  ## install Brownie in an environment of its own

$(BROWNIE_READY): requirements/brownie.txt
	@[[ -n "$(PYTHON)" ]] || { echo "Python 3.11 or newer is needed and was not found; name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setting up $(BROWNIE_VENV) ..."
	@[[ -x $(BROWNIE_VENV)/bin/python ]] || "$(PYTHON)" -m venv $(BROWNIE_VENV)
	@$(BROWNIE_VENV)/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/brownie.txt
	@ln -sf ../../$(NODE_BIN)/ganache-cli $(BROWNIE_VENV)/bin/ganache-cli
	@touch $@

demo: setup  ## replay the sample calls on a local chain and audit them; the last line is the verdict
	@rm -rf $(DEMO)
	@$(BIN)/honorarium replay $(SAMPLE) --tariffs $(TARIFFS) --out $(DEMO)
	@$(BIN)/honorarium audit --chain $(DEMO) --out $(DEMO)

test: check forge-test unit brownie-test  ## every check and every test

check: setup  ## format, lint, types, import layers, generated files
	@echo "== format"  && $(BIN)/ruff format --check --quiet . && scripts/forge fmt --check
	@echo "== lint"    && $(BIN)/ruff check --quiet .
	@echo "== types"   && $(BIN)/mypy
	@echo "== layers"  && $(BIN)/lint-imports --no-logo
	@echo "== generated files" && $(BIN)/python scripts/build_artifacts.py --check && $(BIN)/python scripts/build_vectors.py --check && $(BIN)/python benchmarks/gas.py --check >/dev/null

# Coverage sees what forge itself compiles: the sources, not the shipped bytecode, and unoptimized, beyond the size limit.
coverage: setup  ## which lines and branches of the contracts the Solidity tests reach
	@HONORARIUM_ARTIFACTS=source scripts/forge coverage --exclude-tests --no-match-coverage node_modules \
		--no-match-test test_ESC9_nothing_in_the_code | sed -n '/^╭/,$$p'

bench: setup  ## how fast the Python is, as ratios to limits measured in the same run, into benchmarks/results
	@ETH_HASH_BACKEND=pysha3 $(BIN)/python benchmarks/verify.py
	@PYTHONPATH=tests $(BIN)/python benchmarks/ticks.py
	@PYTHONPATH=tests $(BIN)/python benchmarks/settle.py
	@$(BIN)/python benchmarks/audit.py --sessions $(SESSIONS) $(if $(CALLS),--calls $(CALLS))

kills: setup  ## kill -9 of a desk under load, 100 times: nothing may be lost or double
	@$(BIN)/python scripts/kills.py

gas: setup  ## measure what the contracts cost, into benchmarks/gas.json and docs/gas.md
	@$(BIN)/python benchmarks/gas.py

peers: setup $(PEERS_READY)  ## the same session through Sablier Flow and Superfluid, into docs/peers.md
	@cd benchmarks && ../$(BIN)/python -m peers

$(PEERS_READY): $(PEERS)/package.json $(PEERS)/package-lock.json $(PEERS)/.npmrc
	@echo "setting up $(PEERS)/node_modules ..."
	@cd $(PEERS) && npm ci --ignore-scripts --loglevel=error --no-progress >/dev/null
	@touch $@

mutate: setup  ## put faults into the contracts and ask the tests, into docs/mutation.md (hours; goes on where it was)
	@nice -n 10 $(BIN)/python scripts/mutate.py $(MUTATE_ARGS)

forge-test: build  ## the Solidity tests, on the shipped bytecode
	@echo "== forge" && scripts/forge test

# A file of tests is one worker's: its tests share what they have set up.
unit: setup brownie-env  ## the Python tests
	@echo "== pytest" && $(BIN)/pytest -n auto --dist loadfile --durations=15 $(PYTEST_ARGS)

fuzz: setup  ## random lives, ten million calls long (FUZZ_ARGS="--calls N --jobs N --seed S")
	@$(BIN)/python scripts/fuzz.py $(FUZZ_ARGS)

prove: setup $(PROVE_READY)  ## proofs for all values at once, into docs/proofs.md
	@$(BIN)/python scripts/prove.py

slither: setup $(PROVE_READY)  ## static analysis of the contracts, compared with docs/slither.md
	@$(BIN)/python scripts/slither_check.py

$(PROVE_READY): requirements/prove.txt
	@[[ -n "$(PYTHON)" ]] || { echo "Python 3.11 or newer is needed and was not found; name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setting up $(PROVE_VENV) ..."
	@[[ -x $(PROVE_VENV)/bin/python ]] || "$(PYTHON)" -m venv $(PROVE_VENV)
	@$(PROVE_VENV)/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/prove.txt
	@touch $@

differential: setup  ## compare Python and Solidity on 100,000 random rows of each kind
	@HONORARIUM_ROWS=100000 $(BIN)/pytest -q -s tests/test_differential.py

brownie-test: brownie-env  ## the Brownie suite, on a Ganache of its own
	@echo "== brownie" && BROWNIE_PORT="$$(scripts/free-port)" scripts/brownie test --network ganache-cli

build: setup  ## compile the shipped contracts into src/honorarium/artifacts
	@$(BIN)/python scripts/build_artifacts.py

format: setup  ## format Python and Solidity, fix what can be fixed
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .
	@scripts/forge fmt

lock: $(PYTHON_READY)  ## bring the lock files up to date with requirements/*.in and package.json
	@$(BIN)/python -m pip install $(PIP_FLAGS) uv
	@cd requirements && for name in runtime dev brownie prove; do \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command "make lock" $$([[ $$name != dev ]] || echo -c runtime.txt) \
			$$name.in --output-file $$name.txt; done
	@npm install --package-lock-only --loglevel=error >/dev/null
	@cd $(PEERS) && npm install --package-lock-only --loglevel=error >/dev/null
	@$(BIN)/python scripts/complete_npm_lock.py

docs: setup  ## the pages of docs/ as a site in build/site; a link that leads nowhere is an error
	@rm -rf build/site
	@$(BIN)/sphinx-build -q -E -W --keep-going -d build/site-pages -b html docs build/site
	@echo "build/site/index.html"

clean:  ## remove what was built and every environment
	rm -rf build dist $(VENV) $(BROWNIE_VENV) $(PROVE_VENV) node_modules $(PEERS)/node_modules benchmarks/results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
