#!/bin/sh
# Mutants of what changed in the pure core since a commit: `tests/mutants/change.sh origin/main`. It ends after MINUTES (20) with what it knows by then.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p target
git diff "$1...HEAD" -- core/src >target/change.diff
if ! [ -s target/change.diff ]; then
    echo "nothing changed in core/src"
    exit 0
fi
code=0
timeout --signal=INT "${MINUTES:-20}m" tests/mutants/core.sh --in-diff target/change.diff || code=$?
if [ "$code" -ne 124 ]; then
    exit "$code"
fi
echo "The time is up: not all mutants were tried. The others: \`just mutants --in-diff target/change.diff --iterate\`."
! [ -s target/mutants.out/missed.txt ]
