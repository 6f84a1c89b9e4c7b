#!/usr/bin/env bash
# Runs every fuzzer in a folder for some seconds, two at a time, from the committed corpora; the
# corpora stay as they are. scripts/run-fuzzers.sh FOLDER SECONDS
set -euo pipefail
folder=$1
seconds=$2
root=$(cd "$(dirname "$0")/.." && pwd)
one() {
    local fuzzer=$1 name scratch
    name=$(basename "$fuzzer")
    scratch=$(mktemp -d)
    mkdir -p "$scratch/corpus"
    if ! "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=65536 \
        -artifact_prefix="$scratch/" "$scratch/corpus" "$root/fuzz/corpus/${name#fuzz_}" \
        >"$scratch/log" 2>&1; then
        tail -n 60 "$scratch/log"
        echo "$name: FAILED; the input is in $scratch"
        return 1
    fi
    echo "$name: $(grep -E '^Done' "$scratch/log")"
    rm -rf "$scratch"
}
export -f one
export seconds root
find "$folder" -maxdepth 1 -type f -name 'fuzz_*' -executable | sort |
    xargs -P 2 -I{} bash -c 'one {}'
