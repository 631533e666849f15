##@ More tests

.PHONY: test-nobody
test-nobody: build examples ## run the integration tests as an ordinary user; needs root
	SIDECAR=$(SIDECAR) tests/support/as-nobody

# Under qemu-user, except for the tests that only a real kernel can pass.
AARCH64 := aarch64-unknown-linux-musl
.PHONY: test-aarch64
test-aarch64: examples ## run the integration tests on the aarch64 program, under qemu-user
	@command -v qemu-aarch64-static > /dev/null || { echo "needs qemu-user-static, from Debian's packages" >&2; exit 1; }
	.cargo/cross $(AARCH64)
	SIDECAR=$(CURDIR)/target/$(AARCH64)/release/$(PROGRAM) SIDECAR_RUNNER=qemu-aarch64-static cargo test --test it -- $(IGNORED)

# tests/histories/main.rs lists the other variables.
histories: export HISTORIES ?= 2000
soak: export HOURS ?= 1
.PHONY: histories soak
histories: build examples ## run 2,000 generated histories, in a few minutes (HISTORIES=, SEED=)
soak: build examples ## run generated histories for an hour (HOURS=)
histories soak:
	SIDECAR=$(SIDECAR) cargo test --test histories -- --nocapture

.PHONY: syscalls
syscalls: build examples ## compare the sandbox's list with the system calls that strace sees
	SIDECAR=$(SIDECAR) tests/syscalls/run $(IGNORED)

.PHONY: rules
rules: build ## check deploy/monitoring with promtool and a real Prometheus
	SIDECAR=$(SIDECAR) tests/monitoring/run

.PHONY: manifests
manifests: build ## validate deploy/, and the manifests, settings and commands of the documentation
	SIDECAR=$(SIDECAR) tests/pods/manifests

.PHONY: picture
picture: build examples ## record the demo for the README, with asciinema and termtosvg
	SIDECAR=$(SIDECAR) tests/demo/record
