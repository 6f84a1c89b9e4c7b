#!/bin/sh
# Compares the shared library's exported symbols with the checked-in list (docs/symbols.txt), and the
# static library's with the prefix soma_. `scripts/check-symbols.sh BUILD --update` rewrites the list.
set -eu
build=${1:-build}
cd "$(dirname "$0")/.."
nm -D --defined-only "$build/libsoma.so" | awk '{print $3}' | LC_ALL=C sort >"$build/symbols.txt"
if [ "${2:-}" = --update ]; then
    cp "$build/symbols.txt" docs/symbols.txt
fi
diff -u docs/symbols.txt "$build/symbols.txt" || {
    echo "exported symbols changed: look, then scripts/check-symbols.sh $build --update" >&2
    exit 1
}
foreign=$(nm --defined-only --extern-only "$build/libsoma.a" | awk 'NF==3 {print $3}' | grep -v '^soma_' || true)
[ -z "$foreign" ] || {
    echo "the static library defines symbols without soma_: $foreign" >&2
    exit 1
}
