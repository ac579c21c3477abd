# One command per task. Each installs first what it needs; nothing is installed twice without a reason.

.DEFAULT_GOAL := help
.PHONY: help install demo up down test test-fast check test-service fuzz format lock docs

# Where a machine forbids Python to keep bytecode, each of hundreds of processes would compile torch or the engine's SDK.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
RUN := $(VENV)/bin
SERVICE := build/service
PYTHON := ../$(SERVICE)/bin/python
# Three at a time on two cores: some wait for what they start. The cluster is one, so what runs on it runs alone.
WITHOUT_CLUSTER := $(RUN)/pytest --ignore tests/cluster --numprocesses 3

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make the Python environment of the stack

$(VENV)/.installed: requirements-dev.txt pyproject.toml local/install.sh
	@sh local/install.sh $(VENV)
	@touch $@

$(SERVICE)/.installed: $(VENV)/.installed bento_service/requirements-dev.txt
	@echo "installing the service's test environment (torch and its kin, 5.5 GB; once)"
	@$(RUN)/uv venv --quiet --clear --python $(RUN)/python $(SERVICE)
	@$(RUN)/uv pip install --quiet --python $(SERVICE)/bin/python --require-hashes -r bento_service/requirements-dev.txt
	@touch $@

demo: install ## a good release and a bad one, end to end, on a local cluster
	@$(RUN)/serinus demo

up: install ## bring the local cluster up
	@$(RUN)/serinus cluster up

down: install ## stop the local cluster and delete its state
	@$(RUN)/serinus cluster down

# The cluster first: its first build takes minutes, shows its progress, and belongs into no test's deadline.
test: ## every test there is, those on the local cluster too
	@$(MAKE) --no-print-directory --jobs 2 check test-service
	@$(RUN)/serinus cluster up
	@$(WITHOUT_CLUSTER)
	@$(RUN)/pytest tests/cluster

test-fast: check ## all that needs no cluster and no model
	@$(WITHOUT_CLUSTER)

check: install ## style, types and who may import whom
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check --quiet
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-logo

test-service: $(SERVICE)/.installed ## the model service's own checks and tests
	@cd bento_service && $(PYTHON) -m ruff check && $(PYTHON) -m ruff format --check --quiet && $(PYTHON) -m mypy
	@weights=$$($(RUN)/serinus cluster weights) && cd bento_service && SERINUS_WEIGHTS=$$weights $(PYTHON) -m pytest --numprocesses 2 --dist loadfile

bench-judge: install ## false rollbacks and detection times of the judge, by simulation
	@$(RUN)/python bench/judge.py

bench-policy: install ## one table of changes through Python, the pack and the API server; what the pack costs
	@$(RUN)/python bench/policy.py

bench-routing: install ## who gets which release, forged headers, and what the edge before the split costs
	@$(RUN)/python bench/routing.py

bench-bucketer: install ## buckets per second of one core, and how long each takes
	@$(RUN)/python bench/bucketer.py

bench-httproute: install ## a gateway of the Gateway API, routed by what serinus render prints
	@$(RUN)/python bench/httproute.py

bench-rollback: install ## seconds from a canary's first failed answer to zero traffic on it, on the local cluster
	@$(RUN)/python bench/rollback.py

bench-promotion: install ## whole rollouts by `serinus promote` under load, the way back and rollbacks; KILLS=20 kills the promoter
	@$(RUN)/python bench/promotion.py --kills $(or $(KILLS),0)

bench-fleet: install ## fifty services, ten of them in a rollout: what the one agent costs, and whom it slows down
	@$(RUN)/python bench/fleet.py

bench-against: install ## the same fault against Argo Rollouts and Flagger too, and how often each rolls back a healthy canary
	@$(RUN)/python bench/rollback.py --runs 3 --webhooks 0 --against argo,flagger

chaos: install ## kill, starve and mislead the agent while it cuts, on the local cluster
	@$(RUN)/python -m bench.chaos

bench-serve: $(SERVICE)/.installed ## the model service against the least that does the same
	@weights=$$($(RUN)/serinus cluster weights) && $(SERVICE)/bin/python bench/serve.py --weights $$weights

bench-vanish: $(SERVICE)/.installed ## a thousand clients of the real model vanish: does decoding stop, does memory stay?
	@weights=$$($(RUN)/serinus cluster weights) && $(SERVICE)/bin/python bench/vanish.py --weights $$weights

fuzz: install ## send the agent's webhook whatever may be sent, for minutes; does its memory grow?
	@SERINUS_FUZZ=3000 $(RUN)/pytest -q -s tests/agent/test_server_fuzz.py

bench-restarts: install ## answers lost to three rolling restarts under load
	@$(RUN)/python bench/restarts.py

docs: install ## write docs/reference from the code
	@$(RUN)/python -m docs.generate

format: install ## lay the code out as `check` wants it
	@$(RUN)/ruff format && $(RUN)/ruff check --fix

lock: install ## resolve the requirements anew, with hashes
	@$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade --group dev --group agent --group local pyproject.toml -o requirements-dev.txt
	@$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --constraint requirements-dev.txt --group agent -o requirements-agent.txt
	@$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-header local/requirements-go.in -o local/requirements-go.txt
