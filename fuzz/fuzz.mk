##@ Fuzzing

.PHONY: fuzz
fuzz: ## run every fuzz target for SECONDS= (10); needs cargo-fuzz and a C++ compiler
	@fuzz/run $(or $(SECONDS),10)

.PHONY: fuzz-corpus
fuzz-corpus: ## add what `make fuzz` found to the corpus, reduced to the least with that coverage
	@fuzz/merge
