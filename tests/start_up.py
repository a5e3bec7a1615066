#!/usr/bin/env python3
"""Guards the function's start-up by its dependencies: counts and names, no clocks.

What Lambda loads and initialises on a cold start is what the function links. Each name below once cost start-up time or
size there, or is known to (see the figures in the README); it must not come back through a feature that somebody turns on.
"""

import subprocess
import sys
from collections import Counter

BANNED = {
    "aws-sdk-sso": "SSO has no place in Lambda",
    "aws-sdk-ssooidc": "SSO has no place in Lambda",
    "aws-lc-rs": "its jitter entropy costs 10 to 50 ms once a process: ring is the one TLS provider",
    "aws-lc-sys": "its jitter entropy costs 10 to 50 ms once a process: ring is the one TLS provider",
    "openssl-sys": "a second TLS stack",
    "native-tls": "a second TLS stack",
    "s2n-tls": "a second TLS stack",
    "webpki-roots": "a second set of root certificates beside the host's",
    "reqwest": "a second HTTP client",
    "hyper-tls": "a second TLS stack",
    "aws-smithy-http-client": "the SDK's own HTTPS client, and with it HTTP/2: ours is src/aws/https.rs",
    "h2": "HTTP/2, which EC2 does not speak",
    "rustls-native-certs": "reads the root certificates a second time",
    "regex": "compiles patterns at start-up; globs are wildmatch's, and that is all we need",
    "regex-automata": "comes with tracing-subscriber's env-filter; log levels are Lambda's own",
    "chrono": "a second clock: time is in the tree already",
    "clap": "command lines are `local`'s business",
    "axum": "servers are `local`'s business",
}
# One version of each: two would be two sets of code and of caches.
ONCE = ["rustls", "ring", "tokio", "hyper", "hyper-rustls", "http", "serde_json", "tracing-subscriber"]
ONCE += ["aws-smithy-http", "aws-smithy-json", "aws-smithy-runtime"]
# Crates in all. Raise it with a reason in the commit.
LIMIT = 149


def problems(crates):
    """What is wrong with the function's crates, given as (name, version) pairs."""
    names = Counter(name for name, _ in crates)
    for name, reason in BANNED.items():
        if names[name]:
            yield f"{name} is linked into the function: {reason}"
    for name in ONCE:
        if names[name] != 1:
            yield f"{name} is there {names[name]} times, not once"
    if len(crates) > LIMIT:
        yield f"{len(crates)} crates are linked, {LIMIT} is the limit"


def crates_of_the_function():
    command = ["cargo", "tree", "--locked", "--package", "ami-courier", "--edges", "normal,no-proc-macro", "--prefix", "none"]
    command += ["--target", "x86_64-unknown-linux-gnu"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {tuple(line.split()[:2]) for line in lines if line}


def main():
    crates = crates_of_the_function()
    if found := list(problems(crates)):
        sys.exit("\n".join(found))
    # The guard guards itself: each rule is seen to complain when it is broken.
    broken = [crates | {(name, "v99")} for name in [*BANNED, *ONCE]] + [crates | {(f"crate-{n}", "v1") for n in range(LIMIT)}]
    if not all(list(problems(tree)) for tree in broken):
        sys.exit("a rule of this guard does not bite")
    print(f"{len(crates)} crates are linked into the function, {LIMIT} is the limit; none of {', '.join(BANNED)}")


if __name__ == "__main__":
    main()
