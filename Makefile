# Every target installs what it needs first; see .ci/setup.

# A shell opened before Rust was installed does not know cargo yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test setup build lint install vscode

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

demo: ## live completions on this machine, with timings
	@.ci/setup demo
	cargo run --locked --release -- demo

test: ## all tests, with real weights where they can be fetched
	@.ci/test

setup: ## what a build needs, installed where it is missing
	@.ci/setup

build: setup ## the program, optimised
	cargo build --locked --release

lint: setup ## format, lints and docs, warnings as errors
	@.ci/lint

install: setup ## the program, into Cargo's folder of programs
	cargo install --locked --path .

vscode: ## the VS Code extension, editors/vscode/ghostline-VERSION.vsix
	@cd editors/vscode && npm run package
