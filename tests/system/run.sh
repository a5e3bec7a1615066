#!/usr/bin/env bash
# `just system`: the tests of the system, with what they need in target/. `just system keep` leaves the system running.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Creates a Python environment in target/, again when its requirements have changed.
environment() {
    local place=target/$1 requirements=$2
    shift 2
    cmp -s "$requirements" "$place/requirements.txt" && return
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check "$@" --requirement "$requirements"
    cp "$requirements" "$place/requirements.txt"
}
echo "Installing what is missing in target/, and building the function: some minutes, the first time." >&2
environment system tests/system/requirements.txt --require-hashes
environment system-tests tests/requirements.txt
# As the tests build the function. It is built already, most of the time.
cargo test --workspace --locked --no-run --quiet

case ${1:-} in
    keep) exec target/system-tests/bin/python tests/system/keep.py ;;
    # Two processes, each with a LocalStack and an EC2 of its own: a file goes to one of them.
    *) exec target/system-tests/bin/python -m pytest -q -p no:cacheprovider --numprocesses 2 --dist loadfile tests/system "$@" ;;
esac
