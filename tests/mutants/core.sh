#!/bin/sh
# Mutants of the pure core, some seconds each. Takes the options of `cargo mutants`, such as `--file core/src/plan.rs`.
set -eu
cd "$(dirname "$0")/../.."
# A mutant that many cases find, few cases find too. The model checker takes minutes: the tests of core/tests/it are enough.
export PROPTEST_CASES="${PROPTEST_CASES:-16}" HOSTILE_PAYLOADS="${HOSTILE_PAYLOADS:-50}"
exec cargo mutants --package courier-core --profile mutants --cargo-arg=--test=it --output target "$@"
