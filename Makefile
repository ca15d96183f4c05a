# make run and make test each work alone on a fresh machine with Go and make: they install what is missing and say what.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO      ?= go
TOOLS   := .tools
DECKLE  := $(TOOLS)/deckle
SOURCES := $(shell find . -path './.*' -prune -o \( -name '*.go' -o -name '*.sql' -o -name 'go.mod' -o -name 'go.sum' \) -print)
FUZZTIME ?= 1m
ROUNDS   ?= 200

# jemalloc gives memory back after a burst, which glibc's arenas do not; used where it is installed. Looked for when it is used, since
# Redis brings it along; ldconfig is not on everybody's PATH.
JEMALLOC = $(shell PATH=$$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | awk '/libjemalloc\.so\.2/ { print $$NF; exit }')

.PHONY: help run fleet build test lint format fuzz crash trust bench lint-deploy image-proof toolchain fleettools testtools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(DECKLE) ## install what is missing, build, and serve with a demo picture on :8080 (operators: 127.0.0.1:8081)
	@LD_PRELOAD=$(JEMALLOC) exec $(DECKLE) serve --demo

fleet: $(DECKLE) fleettools ## run three nodes, Redis and an S3 server with nginx in front on 127.0.0.1:8080, until Ctrl-C
	@LD_PRELOAD=$(JEMALLOC) exec deploy/fleet/fleet.sh $(DECKLE) $(TOOLS)/versitygw

build: $(DECKLE) ## install what is missing and build .tools/deckle

$(DECKLE): $(SOURCES) Makefile | toolchain
	@echo "build: $@ (the first time takes a minute or two: the libvips binding is compiled)"
	@$(GO) build -o $@ ./cmd/deckle

# The two packages that take longest begin first, so that no core waits for them at the end.
test: testtools lint format ## install what tests need, lint, check the formatting, and run every test on real servers
	$(GO) test -race -timeout 25m ./cmd/deckle ./transform/vips ./...

lint: toolchain $(TOOLS)/golangci-lint ## run the linters
	$(TOOLS)/golangci-lint run ./...

format: ## fail when a Go file is not formatted
	@unformatted=$$(gofmt -l $$(find . -path './.*' -prune -o -name '*.go' -print)); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

fuzz: toolchain ## fuzz every parser of outside bytes, FUZZTIME each (1m)
	@tools/fuzz.sh $(FUZZTIME)

crash: testtools ## kill the server ROUNDS times (200) while pictures arrive, change and go, and check all that it acknowledged
	DECKLE_CRASH_ROUNDS=$(ROUNDS) DECKLE_CRASH_REPORT=$(CURDIR)/bench/results/crash.md $(GO) test -race -count=1 -timeout 60m -run TestCrash -v ./cmd/deckle

trust: testtools ## check the claims of trust on the real binary and write bench/results/trust.md
	@tools/trust.sh

bench: $(DECKLE) ## play every workload on a fresh server, and on PEERS, within five minutes; bench/results/default.html shows it
	@bench/run.sh $(DECKLE) suite $(PEERS)

lint-deploy: toolchain $(TOOLS)/helm $(TOOLS)/kubectl-validate $(TOOLS)/deploylint $(TOOLS)/rulelint ## lint Dockerfile, compose, chart, unit, alert rules and dashboard with the parsers that will read them
	@tools/lint-deploy.sh $(TOOLS)

image-proof: toolchain ## run the image's steps in Debian 13 roots, serve from the result, and write bench/results/image.md (root)
	@deploy/image/prove.sh bench/results/image.md

toolchain:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or newer is needed: install it, then run this again" >&2; exit 1; }
	@deploy/libvips.sh

fleettools: toolchain $(TOOLS)/versitygw
	@tools/testtools.sh fleet

testtools: toolchain $(TOOLS)/versitygw $(TOOLS)/golangci-lint
	@tools/testtools.sh

# Tools are built from module files of their own, so that what they need stays out of the product's.
$(TOOLS)/versitygw: tools/versitygw/go.mod tools/versitygw/go.sum
	@echo "build: $@, the S3 server that tests use (about two minutes, once)"
	@$(GO) build -modfile=tools/versitygw/go.mod -o $@ github.com/versity/versitygw/cmd/versitygw

$(TOOLS)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@echo "build: $@ (about two minutes, once)"
	@$(GO) build -modfile=tools/lint/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# These three take about eight minutes together, once: they hold Kubernetes' schemas, and the parsers of BuildKit and compose.
$(TOOLS)/helm: tools/helm/go.mod tools/helm/go.sum
	@echo "build: $@"
	@$(GO) build -modfile=tools/helm/go.mod -o $@ helm.sh/helm/v4/cmd/helm

$(TOOLS)/kubectl-validate: tools/kubectl-validate/go.mod tools/kubectl-validate/go.sum
	@echo "build: $@"
	@$(GO) build -modfile=tools/kubectl-validate/go.mod -o $@ sigs.k8s.io/kubectl-validate

$(TOOLS)/deploylint: tools/deploylint/go.mod tools/deploylint/go.sum tools/deploylint/main.go
	@echo "build: $@"
	@cd tools/deploylint && $(GO) build -o $(CURDIR)/$@ .

$(TOOLS)/rulelint: tools/rulelint/go.mod tools/rulelint/go.sum tools/rulelint/main.go
	@echo "build: $@"
	@cd tools/rulelint && $(GO) build -o $(CURDIR)/$@ .

clean: ## remove what was built and the data of make run
	rm -rf $(TOOLS) data
