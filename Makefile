# One-line aliases; on Windows: python scripts\dev.py demo
PYTHON ?= $(shell command -v python3 || command -v python)

.PHONY: demo web test test-slow test-web lint types
demo web test test-slow test-web lint types:
	@"$(PYTHON)" scripts/dev.py $@ $(ARGS)
