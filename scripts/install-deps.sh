#!/bin/sh
# Installs what building and testing soma needs on Debian 12 and is not there yet.
# With --ci also what the checks of .ci/run need.
set -eu
packages="gcc libc6-dev cmake ninja-build pkg-config libyaml-dev libjansson-dev libutf8proc-dev libpng-dev libjpeg62-turbo-dev libsndfile1-dev libcurl4-openssl-dev zlib1g-dev libopenblas-openmp-dev libcmocka-dev"
if [ "${1:-}" = --ci ]; then
    packages="$packages g++ clang clang-tidy clang-format llvm-14 libclang-rt-14-dev cppcheck gcovr python3 man-db"
fi
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "soma needs (Debian names):$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "run as root or install sudo; missing packages:$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
