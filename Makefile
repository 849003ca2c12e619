# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Each target needs nothing done before it: scripts/setup, which each begins with, provides the rest.
# A target with a comment behind ## is in "make help" and in the table of docs/development.md.

.DEFAULT_GOAL := help
.PHONY: $(shell awk -F : '/^[a-z-]+:.*\#\# / { print $$1 }' $(MAKEFILE_LIST))

help: ## tell what there is (this list)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the main job on real storages, under .demo/: back up, change, restore, compare
	@scripts/demo

demo-clean: ## remove what the demo left
	@scripts/demo clean

test: ## everything that CI runs, but the demo
	@scripts/test all

matrix: ## sanity, units and a smoke of integration on ansible-core 2.18 to 2.21
	@scripts/matrix $(VERSIONS)

quick: ## the inner loop: lint, types and the fast tests, in less than a minute
	@scripts/test quick

TIMES ?= 30
BUSY ?= $(shell nproc)
AT_ONCE ?= 1
again: ## one test thirty times beside busy cores (TEST=tests/room/test_x.py::test_y TIMES=30 BUSY=2 AT_ONCE=1)
	@scripts/again --times "$(TIMES)" --busy "$(BUSY)" --at-once "$(AT_ONCE)" -- "$(TEST)"

# Long runs are not part of "make test": each is bounded in time and prints the seed that repeats it.
torture: ## all that make test tries in samples: each alteration, long histories (PAPI_TEST_SEED=...)
	@scripts/test torture

lint: ## ruff, mypy, yamllint, shellcheck
	@scripts/test lint

docs: ## docs/openapi.json and docs/api.md, made again from the endpoint table
	@scripts/docs

BENCH ?=
bench: ## speed, memory and stored bytes beside restic, borg, duplicity and a tar pipe (BENCH="--scale 0.1")
	@scripts/bench $(BENCH)

bench-api: ## latency of the API's listings under 50 clients, beside a bare handler of the same server
	@scripts/setup
	@.cache/venv/bin/python benchmarks/api_latency.py

bench-scale: ## memory with 1,000,000 files, a long chain, a catalog of 2,000 hosts, the daemon at rest
	@scripts/bench-scale

bench-latency: ## a backup and a restore over a long line that stalls and is cut, beside restic (ARGS=--help)
	@scripts/bench-latency $(ARGS)

build: ## the collection's tarball and the agent's wheel, into build/
	@scripts/build

torture-floods: ## 30 minutes of strangers' floods while root, a token, a session and a password go on calling
	@scripts/torture-floods $(ARGS)

torture-parsers: ## 10 minutes of hostile bytes at every parser of what a storage sends (ARGS="--minutes 30 --seed N")
	@scripts/torture-parsers $(ARGS)

torture-kills: ## 500 kills of jobs and agents, at most 30 minutes: what was told must restore, with both readers
	@scripts/torture-kills $(ARGS)

torture-endurance: ## 300 jobs in 30 minutes over connections that break, and over a cluster that loses a server
	@scripts/torture-endurance $(ARGS)

PYTHON ?= 3.11,3.13
wheelhouse: ## all wheels that hosts without an index need, into build/wheelhouse (PYTHON=3.11,3.13)
	@scripts/wheelhouse "$(PYTHON)"

molecule: ## the roles and playbooks on hosts with a real systemd (needs root; podman, runc)
	@scripts/molecule

molecule-long: ## the same with all that takes long: each loop hung on each host, Python upgraded on both releases
	@PAPI_LAB_LONG=yes scripts/molecule $(SCENARIOS)

eda: ## the example rulebook under a real ansible-rulebook (needs Java 17; as root it is installed)
	@scripts/eda

fresh: ## prove it: make demo and make test in a pristine Debian 12 root (needs root)
	@scripts/fresh

setup: ## make .cache/venv, and as root install missing Debian packages
	@scripts/setup

clean: demo-clean ## remove the virtual environment, caches and builds
	@rm -rf .cache .fresh build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis agent/.mypy_cache \
		agent/.pytest_cache agent/.ruff_cache agent/.hypothesis
