#!/usr/bin/env bash
# cppcheck over all sources, clang-tidy (.clang-tidy) over the library. scripts/check-static.sh BUILD,
# where BUILD holds compile_commands.json.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability -j 2 \
    --inline-suppr --suppressions-list=scripts/cppcheck.txt --error-exitcode=1 -Iinclude -Isrc \
    -D_GNU_SOURCE -DSOMA_HAVE_ZLIB=1 -DSOMA_HAVE_JANSSON=1 -DSOMA_HAVE_YAML=1 -DSOMA_HAVE_PNG=1 -DSOMA_HAVE_JPEG=1 -DSOMA_HAVE_LAPACK=1 -DSOMA_HAVE_CURL=1 -DSOMA_HAVE_SNDFILE=1 \
    -DSOMA_SOURCE_FOLDER='"."' -DSOMA__ISA=baseline -DSOMA__ISA_baseline=1 -D__SSE2__=1 src
git ls-files 'src/*.c' | grep -v '/isa_' | xargs -P 2 -n 8 clang-tidy --quiet -p "$build" \
    --warnings-as-errors='*' 2>/dev/null
