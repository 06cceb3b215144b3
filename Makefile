# One-line aliases; on Windows: python scripts\dev.py demo
PYTHON ?= $(shell command -v python3 || command -v python)

.PHONY: demo test test-slow lint types
demo test test-slow lint types:
	@"$(PYTHON)" scripts/dev.py $@ $(ARGS)
