# Every verb a person types. `make help` explains them; each does the set-up it needs.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup build demo check test bench figures kafka native native-gpu clean

help: ## show this
	@echo 'make TARGET, where TARGET is one of'
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: node_modules/.weir-setup build ## install packages and build; everything else does this by itself

build: node_modules/.weir-setup ## build dist/ (nothing is done when nothing has changed)
	@node build.mjs

demo: build ## a live stream of simulated transactions, scored, with its page (DEMO="--speed 1000" for options)
	@cli/launch.mjs demo $(DEMO)

check: node_modules/.weir-setup ## format, lint with types, compiler, unused code, unit tests: before every commit
	@bash test/check.sh

test: node_modules/.weir-setup ## everything: check, Node 24, integration, restarts, the page in a browser
	@bash test/run.sh

bench: build ## measure one thing: make bench NAME=path BENCH="--spec lean"
	@cli/launch.mjs bench $(or $(NAME),path) $(BENCH)

figures: build ## measure everything that BENCHMARKS.md states, into figures/
	@bash test/bench/figures.sh

kafka: node_modules/.weir-setup ## a Kafka broker on 127.0.0.1:9092 to try things with (43 MB from Maven Central, needs Java 17 and mvn)
	@node --import tsx test/support/run-kafka.ts $(KAFKA)

native: node_modules/.weir-setup ## native TensorFlow for training on the CPU (230 MB, needs g++, python3)
	@bash models/lstm/native/make-native.sh

native-gpu: node_modules/.weir-setup ## the same for an NVIDIA GPU (2.4 GB)
	@bash models/lstm/native/make-native.sh --gpu

clean: ## remove what was built; data folders, packages and .native stay
	rm -rf dist figures .dist-*

# Made anew when the list of packages changes.
node_modules/.weir-setup: package.json package-lock.json
	@bash test/support/setup.sh
	@touch $@
