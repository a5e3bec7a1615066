#!/usr/bin/env bash
# The screenshots in docs/, of the pages that `cargo test --test it status::pictures` has written, and of the status page of `just system keep`. It needs chromium and
# pngquant (Debian's packages).
set -euo pipefail
cd "$(dirname "$0")/.."

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
for page in target/widget/*.html; do
    name=$(basename "$page" .html)
    case $name in
        0-*) height=220 ;;
        5-*) height=436 ;;
        *) height=640 ;;
    esac
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" --window-size="1100,$height" \
        --screenshot="$PWD/docs/status-$name.png" "file://$PWD/$page" 2>/dev/null
done
# The status page of `just system keep`, if it runs.
if curl --silent --fail --output /dev/null http://127.0.0.1:4580/; then
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" --window-size=1100,420 \
        --screenshot="$PWD/docs/system.png" http://127.0.0.1:4580/ 2>/dev/null
    pngquant --force --ext .png --strip 32 docs/system.png
fi
pngquant --force --ext .png --strip 32 docs/status-*.png
