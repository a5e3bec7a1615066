#!/usr/bin/env python3
"""Mutants of the function by hand: each breaks one thing, and a test must see it.

`tests/mutants/run.py [WORD ...]` runs those of `mutants.toml` that have one of these words in them. Each is written into its file, the function is
built, and the tests run that must fail; then the file is put back.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# With the features that the tests build it with, so that the SDK is not built again.
BUILD = ["cargo", "build", "--quiet", "--workspace", "--bin", "ami-courier"]
TESTS = ["cargo", "test", "--workspace", "--test", "it", "--no-run", "--message-format=json"]
# Of one run of tests. A mutant can make the courier wait or loop: then it is caught.
MOST_SECONDS = 600


def binary_of_the_tests():
    """It runs the function that is built last."""
    built = subprocess.run(TESTS, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for message in map(json.loads, built.splitlines()):
        if message.get("executable") and message["target"]["src_path"] == str(ROOT / "tests/it/main.rs"):
            return message["executable"]
    raise SystemExit("cargo names no binary of tests/it")


def first_words(output):
    """What the first failing test said."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if "panicked at" in line and number + 1 < len(lines):
            return f"{line.split(chr(39))[1]}: {lines[number + 1]}"[:200]
    return "no test says why"


def run(binary, mutant):
    """The verdict on one mutant."""
    path = ROOT / mutant["file"]
    source = path.read_text()
    if source.count(mutant["was"]) != 1:
        return f"STALE    `was` is {source.count(mutant['was'])} times in the file"
    path.write_text(source.replace(mutant["was"], mutant["is"]))
    try:
        built = subprocess.run(BUILD, cwd=ROOT, capture_output=True, text=True)
        if built.returncode != 0:
            return f"STALE    it does not compile: {built.stderr.strip().splitlines()[0]}"
        try:
            tested = subprocess.run(
                [binary, "--test-threads", "8", *mutant["tests"]], cwd=ROOT, capture_output=True, text=True, timeout=MOST_SECONDS
            )
        except subprocess.TimeoutExpired:
            return "caught   the tests do not end"
        output = tested.stdout + tested.stderr
        if "running 0 tests" in output:
            return "STALE    there are no such tests"
        if tested.returncode != 0:
            return f"caught   {first_words(output)}"
        return f"lives    {mutant['lives']}" if "lives" in mutant else "MISSED"
    finally:
        path.write_text(source)


def main():
    words = sys.argv[1:]
    mutants = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
    chosen = [mutant for mutant in mutants if not words or any(word in str(mutant) for word in words)]
    changed = subprocess.run(["git", "status", "--porcelain", "--", "src"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    if changed:
        raise SystemExit(f"commit these first, since mutants are written into them:\n{changed}")
    binary = binary_of_the_tests()
    verdicts = []
    for mutant in chosen:
        verdicts.append(run(binary, mutant))
        print(f"{verdicts[-1]}\n         {mutant['file']}: {mutant['shows']}", flush=True)
    counts = {verdict: sum(it.startswith(verdict) for it in verdicts) for verdict in ("caught", "lives", "MISSED", "STALE")}
    print(", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items()))
    return counts["MISSED"] + counts["STALE"] > 0


if __name__ == "__main__":
    sys.exit(main())
