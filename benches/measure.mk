##@ Measuring

# The benchmark is a debug build, like the tests whose helpers it shares. Only the release program is measured.
BENCH = tests/support/own-pids cargo bench --quiet --profile dev --bench bench

.PHONY: bench-keep
bench-keep: ## publish the results of the last `make bench` in docs/benchmarks.md
	@KEEP=1 cargo bench --quiet --profile dev --bench bench
	@target/bench/python/bin/python benches/chart.py benches/results.json benches/chart.svg

# Times depend on the machine, so they are not compared.
.PHONY: guard guard-keep
guard: ## fail if size, memory, wake-ups, instructions or system calls grew; needs root
guard-keep: ## store the current figures in benches/guard.json
guard guard-keep: build examples
	@SIDECAR=$(SIDECAR) GUARD=$(@:guard-%=%) $(BENCH)

# Line numbers do not change the machine code.
.PHONY: bloat
bloat: build ## print the program's bytes by module and dependency; needs python3 and binutils
	@CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
	  cargo build --quiet --release --target $(TRIPLE) --target-dir target/bloat
	@python3 benches/bloat.py target/bloat/$(TRIPLE)/release/$(PROGRAM) $(RELEASE)
