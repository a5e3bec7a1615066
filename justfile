# Short commands for daily work: `just check`, `just test`. They need Rust, a C compiler and Python, and no root.
# Install just with your package manager, with `cargo install just`, or with `pip install rust-just`.

# List the recipes.
default:
    @just --list

# Format, lints, rustdoc and the house checks (plain words, no import circles).
check: house
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# The house checks alone: seconds.
house: python
    target/python/bin/python -m pytest -q -p no:cacheprovider tests/house

# The tests of the pure core alone: seconds, without the EC2 SDK.
core:
    cargo test --package courier-core --locked

# All Rust tests.
test:
    cargo test --workspace --locked

# The two stacks as a system, on LocalStack (docs/system.md): its tests, `just system -k burst` for some. `just system keep` leaves it running, to play with.
[no-exit-message]
system *what:
    tests/system/run.sh {{ what }}

# Torture: `just torture 300` for more rounds. A failing round prints its seed.
torture rounds="30":
    TORTURE_ROUNDS={{ rounds }} cargo test --test it torture -- --nocapture

# Mutants of the pure core, of some files: `just mutants --file core/src/plan.rs`. All of them take hours. Needs cargo-mutants (`cargo install cargo-mutants`).
mutants *options:
    tests/mutants/core.sh {{ options }}

# Mutants of the function, by hand: `just mutants-by-hand close` for those of which a line has such a word. All of them take an hour.
mutants-by-hand *words:
    tests/mutants/run.py {{ words }}

# The benchmark: the figures of docs/figures.md. `just bench --help` shows its options.
bench *options:
    cargo build --release --package ami-courier --bin ami-courier
    cargo run --release --package bench -- {{ options }}

# The whole gate on the last commit, in a container: .ci/run needs root on Debian. Needs Docker; takes about half an hour.
gate:
    docker run --rm --privileged --platform linux/amd64 --volume "$PWD":/source:ro rust:1.95.0-bookworm sh -ec '\
        apt-get update -qq && apt-get install -qq --yes git python3 python3-venv && \
        git config --global --add safe.directory "*" && \
        git clone --quiet /source /gate && cd /gate && .ci/run'

[private]
python:
    test -x target/python/bin/pytest || python3 -m venv target/python
    target/python/bin/pip install --quiet --disable-pip-version-check "$(grep ^pytest== tests/requirements.txt)"
