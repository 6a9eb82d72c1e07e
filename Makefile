# The front door: every verb installs what it needs (apt, by name: scripts/setup), and says so.
BUILDS ?= release asan tsan
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help build demo stop load step reset ingress egress prod retry canary image push deploy get monitoring delete test test-long test-peers test-charts test-image test-istio bench lint fuzz clean

help: ## List the verbs
	@awk -F ' *:.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

build: ## Build the programs into build/release
	@scripts/setup build
	@scripts/build release tracehop-server tracehop-collector

demo: build ## Start the chain and its mesh on http://localhost:8080/ until Ctrl-C (DETACH=1: return when ready; the README has more)
	@scripts/setup demo
	@scripts/demo $(if $(DETACH),start,run)

stop: ## End the demo that was started with DETACH=1
	@scripts/demo stop

load: ## Send the demo a steady stream and tell what clients see (RATE=20 TIME=30s FAIL=0.3 DELAY= DEV_USER= URL=)
	@scripts/load

step: ## Show where the running demo is in the lesson
reset: ## Take all rules of the mesh away: the lesson begins
ingress: ## Lesson, step 1: the gateway lets requests in
egress: ## Lesson, step 2: the clock outside may be asked (where make demo begins)
prod: ## Lesson, step 3: everybody gets prod
retry: ## Lesson, step 4: failed calls are made again
canary: ## Lesson, step 5: who says the secret word gets the canary

step reset ingress egress prod retry canary:
	@scripts/step $@

image: ## Build the container image into build/image, without a container engine (as root; or: docker build .)
	@scripts/setup image
	@scripts/image

push: ## Send the image to IMAGE=registry.example/tracehop:0.1.0
deploy: ## Install the chain into the cluster of kubectl (NAMESPACE=tracehop IMAGE= RELAY_TO=; docs/cluster.md)
get: ## Show what is in the cluster, and where the lesson is
monitoring: ## Bring the collector's traces and books in the cluster to localhost:9465
delete: ## Remove the chain from the cluster

push deploy get monitoring delete:
	@scripts/cluster $@

test: ## Run unit tests, fuzz corpora and end-to-end tests: plain and under the sanitizers
	@scripts/setup build test
	@tests/run $(BUILDS)

test-long: ## Kill the collector 1,000 times under load; let 2 GiB wait for its backend
	@scripts/setup build test
	@scripts/build release
	@TRACEHOP_KILLS=1000 tests/e2e/run build/release collector_crash
	@TRACEHOP_BACKLOG=2147483648 tests/e2e/run build/release collector_backlog

test-peers: build ## Test against foreign programs and a browser (REQUIRE_PEERS=1: all of them must be had)
	@scripts/setup test peers
	@status=0; tests/peers/run || status=1; tests/browser/run build/release || status=1; exit $$status

test-charts: build ## Test the charts: helm, schemas, istioctl, a real API server
	@scripts/setup test peers
	@tests/charts/run

test-image: image ## Build the image, look into it, and run its programs in it
	@scripts/setup build test
	@tests/image/run

test-istio: build ## Test the lesson under istiod: hops and Envoys in network namespaces
	@scripts/setup test peers istio
	@tests/istio/run

bench: ## Measure, each figure beside its yardstick
	@scripts/setup build bench
	@scripts/build release
	@tests/bench/run build/release

lint: ## Check format, style, headers and scripts
	@scripts/setup build lint
	@scripts/lint

fuzz: ## Run every fuzz target for FUZZ_SECONDS (60)
	@scripts/setup build fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

clean: ## Remove what was built; .tools (foreign programs) stays
	rm -rf build .demo .demo-journal
