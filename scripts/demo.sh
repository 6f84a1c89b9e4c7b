#!/bin/sh
# Trains a CNN on the embedded handwritten digits, shows what it learnt, and lets it read a picture.
set -eu
build=${1:-build}
cd "$(dirname "$0")/.."
out=$build/demo
rm -rf "$out"
"$build/soma" train digits-cnn --out "$out"
echo
echo "the picture data/sample-digit.png (a 3) is read as:"
"$build/soma" predict "$out/model.safetensors" data/sample-digit.png
echo
echo "next: $build/soma summary $out/model.safetensors"
echo "      $build/soma eval $out/model.safetensors digits"
echo "      $build/soma train --list"
