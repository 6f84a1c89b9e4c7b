#!/bin/sh
# Fails when a C file is not as clang-format would write it.
cd "$(dirname "$0")/.." && git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
