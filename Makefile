# Everything here needs Go, git and make; `race` and `lint` a C compiler and time, too.
# The tests drive a browser: a Chrome or Chromium on the path or in CHROME, which
# they install where they can (root, apt) and ask for elsewhere.

GO       ?= go
# One test of a package that hangs must not take the others' time.
TIMEOUT  ?= 12m
FUZZTIME ?= 20s
SAMPLE   ?= 6000
# What --version says; empty where git does not know.
VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null)
REVISION ?= $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
BUILD    := github.com/tokenrelay/tokenrelay/internal/build
STAMP    := -s -w -X $(BUILD).version=$(VERSION) -X $(BUILD).revision=$(REVISION)

.DEFAULT_GOAL := help
.PHONY: help demo build test test-deploy keda kube chart race lint fmt fuzz bench chaos compose package check clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: bin/demo ## watch sample events go through a broker into both (fake) providers, under a minute
	bin/demo --once --sample $(SAMPLE)

build: bin/worker bin/publisher bin/dlq bin/sandbox bin/demo ## build the commands into bin/

# Go knows better than make what is out of date.
.PHONY: bin/worker bin/publisher bin/dlq bin/sandbox bin/demo
bin/worker bin/publisher bin/dlq bin/sandbox bin/demo:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(STAMP)' -o $@ ./cmd/$(notdir $@)

# Manual pages and completions, which a release brings along.
.PHONY: bin/share
bin/share: build
	rm -rf $@ && mkdir -p $@/man $@/bash $@/zsh $@/fish $@/doc
	gzip -9n < CHANGELOG.md > $@/doc/changelog.gz
	for command in worker publisher dlq sandbox demo; do \
		bin/$$command --generate=man > $@/man/$$command.1 && gzip -9n $@/man/$$command.1 && \
		bin/$$command --generate=bash > $@/bash/$$command && \
		bin/$$command --generate=zsh > $@/zsh/_$$command && \
		bin/$$command --generate=fish > $@/fish/$$command.fish || exit 1; \
	done

test: ## run all tests
	CGO_ENABLED=0 $(GO) test -timeout $(TIMEOUT) ./...

# The Go tool does not see what they read outside of their module: no results from its cache.
test-deploy: ## run the tests of what is in deploy/
	cd deploy && CGO_ENABLED=0 $(GO) test -count=1 -timeout $(TIMEOUT) ./...
	cd deploy/helm && CGO_ENABLED=0 $(GO) test -count=1 -timeout $(TIMEOUT) ./...

keda: ## run KEDA's own scaler against real brokers; the first time it compiles KEDA, some 5 minutes
	cd deploy/keda && CGO_ENABLED=0 $(GO) test -timeout $(TIMEOUT) ./...

kube: ## have a real API server take the Helm chart; the first time it compiles Kubernetes, some 10 minutes
	cd deploy/kube && CGO_ENABLED=0 $(GO) test -timeout $(TIMEOUT) ./...

chart: ## write what the Helm chart copies: the alert rules, and the values into its README
	cd deploy/helm && CGO_ENABLED=0 $(GO) test . -run 'TestRulesAreThoseOfTheObservers|TestReadmeHasEveryValue' -update

race: ## run all tests under the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) ./...

fmt: ## format all files
	$(GO) fmt ./...

lint: bin/golangci-lint ## run the linters of .golangci.yml; the first time it builds them
	bin/golangci-lint run ./...

# Its version is pinned in tools/go.mod.
bin/golangci-lint: tools/go.mod tools/go.sum
	CGO_ENABLED=0 $(GO) -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# These are pinned in tools/release/go.mod.
bin/goreleaser: tools/release/go.mod tools/release/go.sum
	CGO_ENABLED=0 $(GO) -C tools/release build -o ../../$@ github.com/goreleaser/goreleaser/v2

bin/cyclonedx-gomod: tools/release/go.mod tools/release/go.sum
	CGO_ENABLED=0 $(GO) -C tools/release build -o ../../$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

fuzz: ## give each fuzz target FUZZTIME (20s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$target of $$(dirname "$$file")"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null || exit 1; \
		done; \
	done

bench: ## measure the worker against a featureless loop, and a fleet against its cap; takes some 15 minutes
	$(GO) run ./internal/bench
	$(GO) run ./internal/bench/fleet -plot docs/fleet.svg

chaos: ## kill, stop and cut off a fleet for a minute and prove that nothing is lost; SEED=… repeats a run
	SEED=$(SEED) DURATION=$(DURATION) $(GO) run ./internal/chaos

compose: ## run docker-compose.yml through faults and prove that nothing is lost; needs a Docker engine, takes some minutes
	$(GO) -C deploy run ./compose/drill -root ..

package: ## build a release twice, compare, and put its deb through its life; needs a Docker engine
	deploy/package/check

check: ## what .ci/run does: everything that must hold before a change lands
	bash .ci/run

clean: ## remove what was built
	rm -rf bin
