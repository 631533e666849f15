# The goals of a working day. `make` lists these and the rarer ones, which are in the files included at the end.

PROGRAM := config-reloader-sidecar
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

# The size budget of the release program, in bytes: 112 KiB.
SIZE_LIMIT := 114688

# The release program. `toolchain` chooses its target: musl, or the host where musl is not available.
TRIPLE  = $(shell cat target/triple)
RELEASE = target/$(TRIPLE)/release/$(PROGRAM)
SIDECAR = $(CURDIR)/$(RELEASE)

# Tests that need root are marked as ignored.
IGNORED = $(if $(filter 0,$(shell id -u)),--include-ignored)

# Test suites with requirements of their own: `make test` leaves them out.
SUITES := cluster dist e2e histories monitoring pods syscalls

.DEFAULT_GOAL := help

##@ Every day

.PHONY: help
help: ## list the goals
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build examples ## watch two volume updates reload an application, in about three seconds
	@SIDECAR=$(SIDECAR) target/debug/examples/demo

.PHONY: build
build: toolchain ## build the release program, static where the musl target is available
	cargo build --release --target $(TRIPLE)

.PHONY: test
test: build ## run the unit and integration tests; as root, also those that need it
	SIDECAR=$(SIDECAR) cargo test -- $(IGNORED)

.PHONY: lint
lint: toolchain ## check formatting, run clippy and shellcheck, and check spelling and links
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy $(SUITES:%=--test %) -- -D warnings
	cargo clippy --release --target $(TRIPLE) --features floor -- -D warnings
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	RUSTFLAGS="--cfg fuzzing" cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target/fuzz/lint --no-default-features -- -D warnings
	tests/support/shellcheck
	tests/support/prose

.PHONY: size
size: build ## print the program's size and fail if it is over budget
	@bytes=$$(stat -c %s $(RELEASE)); case $(TRIPLE) in \
	  *-musl) echo "$(RELEASE): $$bytes of at most $(SIZE_LIMIT) bytes"; [ $$bytes -le $(SIZE_LIMIT) ] ;; \
	  *) echo "$(RELEASE): $$bytes bytes; the budget applies to the static program only" ;; \
	esac

.PHONY: check
check: lint size test ## run lint, size and test: do this before every commit

.PHONY: image
image: STAGE = --target local --build-arg PROGRAM=$(RELEASE)
image: image-tool build ## build the container image from the release program, without a registry
	@case $(TRIPLE) in *-musl) ;; *) echo "$(RELEASE) is not static, so it cannot run in an image of its own" >&2; exit 1 ;; esac
	@chmod 755 $(RELEASE)
	$(build-image)

.PHONY: bench
bench: build floor examples ## measure the program beside its alternatives, in eleven minutes (ONLY=, QUICK=1)
	@benches/install
	@SIDECAR=$(SIDECAR) ONLY=$(ONLY) $(BENCH)

.PHONY: e2e
e2e: build floor examples ## run the tests with real applications, editors, git and containers (ROUNDS=)
	SIDECAR=$(SIDECAR) IMAGE_TOOL=$(IMAGE_TOOL) tests/e2e/run

.PHONY: pods
pods: build ## run the Compose file and 10,000 updates with podman; needs root
	SIDECAR=$(SIDECAR) tests/pods/run

.PHONY: cluster
cluster: build examples ## run tests on a real Kubernetes: that of KUBECONFIG, or a node built from Go modules; needs root
	SIDECAR=$(SIDECAR) tests/cluster/run

.PHONY: dist
dist: ## build programs and images for six architectures into target/dist; needs podman
	deploy/dist/build $(PLATFORMS)

# What the goals above and below are made of.

.PHONY: toolchain
toolchain:
	@mkdir -p target
	@.cargo/triple > target/triple

# The programs that the tests run: the demo, and a target to signal.
.PHONY: examples
examples:
	@cargo build --quiet --examples

# The least program that could do the job, which the benchmarks compare with.
.PHONY: floor
floor: toolchain
	@cargo build --quiet --release --target $(TRIPLE) --features floor --bin floor

IMAGE      ?= $(PROGRAM):$(VERSION)
# The first of these that works; a docker client without its daemon does not.
IMAGE_TOOL ?= $(shell for tool in docker podman buildah; do if $$tool info > /dev/null 2>&1; then echo $$tool; break; fi; done)

.PHONY: image-tool
image-tool:
	@[ -n "$(IMAGE_TOOL)" ] || { echo "needs docker with its daemon, podman or buildah: none of them works here" >&2; exit 1; }

define build-image
$(IMAGE_TOOL) build $(STAGE) --build-arg VERSION=$(VERSION) --build-arg SOURCE=$(SOURCE) --tag $(IMAGE) .
@echo "$(IMAGE): $$($(IMAGE_TOOL) images --format '{{.Size}}' $(IMAGE)), built by $(IMAGE_TOOL)"
endef

include tests/suites.mk benches/measure.mk fuzz/fuzz.mk deploy/dist/dist.mk
