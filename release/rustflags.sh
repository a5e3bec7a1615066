#!/bin/sh
# Prints the RUSTFLAGS of a release build: no folder of this machine gets into the binary, so that builds of two machines can be compared.
# For release builds only. Other flags build every crate again.
#
#     RUSTFLAGS=$(release/rustflags.sh) sam build
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
# The last that matches wins, so the most specific folder comes last.
printf '%s' "--remap-path-prefix=${HOME:?}=/builder --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$root=/ami-courier"
