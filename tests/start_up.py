#!/usr/bin/env python3
"""Guards the function's start-up time by its dependencies: counts and names, no clocks.

On a cold start, Lambda loads and initialises everything that the function links. Each crate below costs start-up time or
size (see docs/figures.md). It must not come back, for example through a feature of another crate.
"""

import subprocess
import sys
from collections import Counter

BANNED = {
    "aws-sdk-sso": "a Lambda function does not use SSO",
    "aws-sdk-ssooidc": "a Lambda function does not use SSO",
    "aws-lc-rs": "its jitter entropy costs 10 to 50 ms for each process: ring is the only TLS provider",
    "aws-lc-sys": "its jitter entropy costs 10 to 50 ms for each process: ring is the only TLS provider",
    "openssl-sys": "a second TLS stack",
    "native-tls": "a second TLS stack",
    "s2n-tls": "a second TLS stack",
    "webpki-roots": "a second set of root certificates, besides the host's",
    "reqwest": "a second HTTP client",
    "hyper-tls": "a second TLS stack",
    "aws-smithy-http-client": "the SDK's own HTTPS client, with HTTP/2: ours is src/aws/https.rs",
    "h2": "HTTP/2, which EC2 does not speak",
    "rustls-native-certs": "reads the root certificates a second time",
    "regex": "compiles patterns at start-up; wildmatch is enough for globs",
    "regex-automata": "comes with tracing-subscriber's env-filter; Lambda sets the log level",
    "chrono": "a second library for times: `time` is linked already",
    "clap": "only `local` has a command line",
    "axum": "only `local` has a server",
}
# Exactly one version of each: two versions are twice the code and twice the caches.
ONCE = ["rustls", "ring", "tokio", "hyper", "hyper-rustls", "http", "serde_json", "tracing-subscriber"]
ONCE += ["aws-smithy-http", "aws-smithy-json", "aws-smithy-runtime"]
# The maximum number of crates. If you raise it, give the reason in the commit.
LIMIT = 149


def problems(crates):
    """Yields each broken rule for the function's crates, given as (name, version) pairs."""
    names = Counter(name for name, _ in crates)
    for name, reason in BANNED.items():
        if names[name]:
            yield f"{name} is linked into the function: {reason}"
    for name in ONCE:
        if names[name] != 1:
            yield f"{name} is linked {names[name]} times, not once"
    if len(crates) > LIMIT:
        yield f"{len(crates)} crates are linked, the limit is {LIMIT}"


def crates_of_the_function():
    command = ["cargo", "tree", "--locked", "--package", "ami-courier", "--edges", "normal,no-proc-macro", "--prefix", "none"]
    command += ["--target", "x86_64-unknown-linux-gnu"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {tuple(line.split()[:2]) for line in lines if line}


def main():
    crates = crates_of_the_function()
    if found := list(problems(crates)):
        sys.exit("\n".join(found))
    # A test of this guard: each rule complains when it is broken.
    broken = [crates | {(name, "v99")} for name in [*BANNED, *ONCE]] + [crates | {(f"crate-{n}", "v1") for n in range(LIMIT)}]
    if not all(list(problems(tree)) for tree in broken):
        sys.exit("a rule of this guard does not work")
    print(f"{len(crates)} crates are linked into the function, the limit is {LIMIT}; none of {', '.join(BANNED)}")


if __name__ == "__main__":
    main()
