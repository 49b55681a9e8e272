# make run    set up and render a first job
# make test   set up and run the whole test suite
# make lint   types, style, architecture, drift
# make site   the documentation as a site, in .site/html
# make fuzz   odd inputs for all verbs and files, for FUZZ_SECONDS (300)
# make test-cluster KUBECONFIG=FILE   ftgen's promises, asked of a cluster; make cluster starts one
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint check bench fuzz venv tools out docs site update-golden test-hydra-next test-trainer test-images test-page test-registry test-tracking test-upstream test-install test-cluster \
	cluster cluster-down clean

run: venv
	$(BIN)/ftgen hardware=ascend trainer.lr=1e-4
	@find out/sft-qwen3-0-6b -name '*.yaml' -print -exec cat {} +

test: venv tools
	$(BIN)/pytest -n auto

lint: venv tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck conf/trainer/*.sh conf/serving/*.sh
	$(BIN)/python -m tools.derive_schemas --offline-check
	$(BIN)/python -m tools.derive_llamafactory --offline-check
	$(BIN)/python -m tools.derive_vllm --offline-check
	$(BIN)/python -m tools.derive_ultralytics --offline-check
	$(BIN)/python -m tools.experiments --check
	$(BIN)/python -m tools.rule_pages --check
	$(BIN)/python -m tools.hardware_matrix --check

check: lint test

bench: export PATH := $(abspath $(BIN)):$(PATH)
bench: venv
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.checking
	$(BIN)/python -m tests.bench.publishing
	$(BIN)/python -m tests.bench.data

# Odd inputs on all processors; FUZZ_SECONDS, FUZZ_INPUTS, FUZZ_SEED, FUZZ_JOBS, FUZZ_KINDS; findings go to .fuzz/.
fuzz: venv
	$(BIN)/python -m tests.fuzz

# The rendered experiments in out/, and the expected manifests of the tests, written anew.
out: venv
	$(BIN)/python -m tools.experiments

# The generated pages: rules, hardware by storage, the configuration's schema.
docs: venv
	$(BIN)/python -m tools.rule_pages
	$(BIN)/python -m tools.hardware_matrix
	$(BIN)/pytest -q tests/cli/test_schema.py --update-golden

# English and Chinese; a dead link or anchor fails. SITE_REPOSITORY names the page of the repository that has the sources.
site: venv
	$(BIN)/pip install -q --group docs
	$(BIN)/python -m tools.site

update-golden: venv
	$(BIN)/pytest -q tests/golden tests/serving/test_golden.py tests/image/test_golden.py tests/docs/test_tutorial.py \
		--update-golden

# The suite on Hydra's pre-release.
test-hydra-next:
	$(PYTHON) -m venv .venv-hydra-next
	.venv-hydra-next/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-hydra-next/bin/pip install -q --pre 'hydra-core>=1.4.0rc0,<1.5' -e . --group test
	.venv-hydra-next/bin/pytest -n auto

# Every trainer's configuration against LLaMA-Factory's own parser, and verdicts on data sets against its loader;
# YOLO's arguments against Ultralytics' own check; downloads about 4 GB.
test-trainer:
	$(PYTHON) -m venv .venv-trainer
	.venv-trainer/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-trainer/bin/pip install -q -e . --group test --group trainer
	.venv-trainer/bin/pytest -m slow tests/trainers

# The packages of every image recipe, resolved against the package index; says what no index holds. No image is built.
test-images: venv
	$(BIN)/pip install -q --group images
	$(BIN)/pytest -m slow tests/image

# Pages in Debian's Chromium: keys, themes, print, hostile texts; axe-core says what keeps people from using them.
AXE_RELEASE := 4.13.0
test-page: venv .browser/package/axe.min.js
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { $(SUDO) apt-get update -q && \
	$(SUDO) apt-get install -y -q --no-install-recommends chromium chromium-driver fonts-dejavu-core fonts-noto-cjk; }
	$(BIN)/pytest -m browser tests/page
	$(BIN)/python -m tests.bench.page

.browser/package/axe.min.js: $(VENV)/installed
	$(BIN)/pip install -q --group browser
	mkdir -p .browser
	cd .browser && $(abspath $(BIN))/npm pack --silent axe-core@$(AXE_RELEASE) && tar -xzf axe-core-$(AXE_RELEASE).tgz
	touch $@

# Digests asked of CNCF Distribution, which takes Go to build.
DISTRIBUTION := v3.0.0
test-registry: venv .registry/registry
	FTGEN_REGISTRY=$(abspath .registry/registry) $(BIN)/pytest -m slow tests/locking

.registry/registry:
	@command -v go >/dev/null || { echo "make test-registry takes Go"; exit 1; }
	GOBIN=$(abspath .registry) go install github.com/distribution/distribution/v3/cmd/registry@$(DISTRIBUTION)

# What the scripts and `ftgen tune` ask of MLflow, asked of a real server with basic-auth, and behind a bearer token.
test-tracking: tools
	$(PYTHON) -m venv .venv-tracking
	.venv-tracking/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-tracking/bin/pip install -q -e . --group test --group tracking
	.venv-tracking/bin/pytest -m slow tests/scripts tests/tuning

# The wheel by tools that install it of their own accord, with what it depends on from the package index.
test-install: venv
	$(BIN)/pip install -q --group install
	$(BIN)/pytest -m slow tests/packaging

# The schemas derived again from the upstream releases, over the network.
test-upstream: venv
	$(BIN)/python -m tools.derive_schemas --check
	$(BIN)/python -m tools.derive_llamafactory --check
	$(BIN)/python -m tools.derive_vllm --check
	$(BIN)/python -m tools.derive_ultralytics --check

# ftgen's promises, asked of the cluster that KUBECONFIG names (docs/cluster.md); twenty minutes with everything there.
test-cluster: venv
	KUBECONFIG="$(KUBECONFIG)" $(BIN)/pytest -m cluster tests/cluster

# A control plane on loopback for it, with simulated nodes; VOLCANO names a folder with Volcano's programs. The first
# build takes Go and several minutes.
CLUSTER ?= $(or $(TMPDIR),/tmp)/ftgen-cluster
CONTROL_PLANE := tests/cluster/control_plane
cluster cluster-down: export PATH := $(abspath $(BIN)):$(PATH)
cluster: venv $(CLUSTER)/control-plane
	$(CLUSTER)/control-plane up $(CLUSTER) $(VOLCANO)

cluster-down:
	$(CLUSTER)/control-plane down $(CLUSTER)

$(CLUSTER)/control-plane: $(wildcard $(CONTROL_PLANE)/*)
	@command -v go >/dev/null || { echo "make cluster takes Go (see $(CONTROL_PLANE)/go.mod)"; exit 1; }
	cd $(CONTROL_PLANE) && v=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && p=k8s.io/component-base/version && \
	n=$${v#v1.} && go build -trimpath -o $@ \
	-ldflags "-s -w -X $$p.gitVersion=$$v -X $$p.gitMajor=1 -X $$p.gitMinor=$${n%%.*}" .

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV) || { $(MAKE) debian-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/pip install -q --upgrade 'pip>=25.1'
	$(BIN)/pip install -q -e . --group test --group lint
	$(BIN)/python -m compileall -q src
	touch $@

# Debian and Ubuntu keep venv, and what the tests of the container scripts need, in packages of their own.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
debian-venv:
	rm -rf $(VENV)
	$(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q python3-venv

tools:
	@for tool in git-lfs shellcheck openssl; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	[ -z "$$missing" ] || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q $$missing; }

clean:
	rm -rf $(VENV) .venv-hydra-next .venv-trainer .venv-tracking .registry
