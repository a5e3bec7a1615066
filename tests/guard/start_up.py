#!/usr/bin/env python3
"""Fails when something that costs start-up comes back into the function.

It counts and names crates and features of the function alone, as it is deployed; it measures no time. The figures behind
each rule are in benches/RESULTS.md. Usage: tests/guard/start_up.py (in the gate), with --list to see what is counted.
"""

import re
import subprocess
import sys
from pathlib import Path

WORKSPACE = Path(__file__).parents[2]

MOST_CRATES = 240
"""The crates of the function, proc macros apart. When one is really needed, raise this in the commit that brings it."""

FORBIDDEN = {
    "aws-lc-rs": "a second cryptography beside ring: twice the build, and jitter entropy at start-up",
    "aws-lc-sys": "a second cryptography beside ring: twice the build, and jitter entropy at start-up",
    "openssl": "a second TLS stack beside rustls",
    "openssl-sys": "a second TLS stack beside rustls",
    "native-tls": "a second TLS stack beside rustls",
    "s2n-tls": "a second TLS stack beside rustls",
    "webpki-roots": "a second set of roots beside the host's",
    "rustls-platform-verifier": "a second set of roots beside the host's",
    "aws-sdk-sso": "single sign-on: a function's credentials are in its environment",
    "aws-sdk-ssooidc": "single sign-on: a function's credentials are in its environment",
    "aws-sdk-signin": "console sign-in: a function's credentials are in its environment",
    "regex": "compiled at start-up; patterns here are globs",
    "reqwest": "a second HTTP client beside the SDK's",
    "ureq": "a second HTTP client beside the SDK's",
    "opentelemetry": "Lambda's own traces and logs are enough",
}

ONCE = ["hyper", "ring", "rustls", "tokio", "tracing-subscriber"]
"""Crates of which a second version would be a second stack."""


def tree():
    """The function's crates with their features, as `cargo build --bin ami-courier` takes them: {(name, version): features}."""
    command = ["cargo", "tree", "--locked", "--package", "ami-courier", "--edges", "normal,no-proc-macro"]
    command += ["--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}|{f}"]
    output = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True).stdout
    return parse(output)


def parse(output):
    crates = {}
    for line in output.splitlines():
        package, _, features = line.removesuffix(" (*)").partition("|")
        name, version, *_ = package.split()
        crates[name, version] = {feature for feature in features.removesuffix(" (*)").split(",") if feature}
    return crates


def complaints(crates):
    """What is wrong with these crates, a sentence each."""
    names = [name for name, _ in crates]
    for name in sorted(set(names) & set(FORBIDDEN)):
        yield f"`{name}` is in the function: {FORBIDDEN[name]}"
    for name in ONCE:
        if names.count(name) > 1:
            yield f"`{name}` is in the function {names.count(name)} times"
    if len(crates) > MOST_CRATES:
        yield f"the function is made of {len(crates)} crates, more than {MOST_CRATES}"

FEATURES = {
    ("aws-config", "sso"): "single sign-on: a function's credentials are in its environment",
    ("aws-config", "credentials-process"): "a child process for credentials: a function's are in its environment",
    ("aws-config", "credentials-login"): "console sign-in: a function's credentials are in its environment",
    ("aws-config", "default-https-client"): "the SDK's own choice of an HTTPS client, with aws-lc",
}


def main():
    crates = tree()
    if "--list" in sys.argv:
        for (name, version), features in sorted(crates.items()):
            print(name, version, ",".join(sorted(features)))
    found = list(complaints(crates))
    for complaint in found:
        print(complaint, file=sys.stderr)
    print(f"{len(crates)} crates")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
