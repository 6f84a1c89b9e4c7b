# The bench beside other libraries works, and names those that are missing: they are not needed for it.
source "$(dirname "$0")/support/lib.sh"
command -v python3 >/dev/null || skip "no python3"
compare=$source_folder/bench/compare.py

expect 0 "missing" python3 "$compare" --soma "$soma" --out out --python "$work/none" --quick --threads 1 --only "matmul 64x64"
for file in table.txt table.json table.md chart.svg; do
    check "no $file" test -s "out/$file"
done
check "not one JSON document with two lines" python3 - <<'CHECK'
import json
table = json.load(open("out/table.json"))
assert [line["name"] for line in table["lines"]] == ["matmul 64x64x64", "matmul 64x64x4096"]
for line in table["lines"]:
    assert line["soma"]["median"] > 0 and line["ratio"] is None
    assert set(line["missing"]) == {"PyTorch eager", "ONNX Runtime"}
assert table["about"]["peak_flops"] > 0 and table["others"][-1]["soma"] == "0"
CHECK
check "the table for the document lacks a line" grep -q "^| matmul 64x64x4096 | .* missing" out/table.md
check "the work of the peers stays behind" test ! -e out/work

# Whole processes, and soma beside itself.
expect 0 "start to first prediction, mnist-cnn: " python3 "$compare" --soma "$soma" --out out --python "$work/none" --quick --only "first prediction, mnist"
expect 0 "to reach ≤ 1 µs" python3 "$compare" --soma "$soma" --out out --python "$work/none" --quick --only "1000 steps"

# The twins know soma's files.
python3 -c 'import numpy' 2>/dev/null || finish
"$soma" bench "cifar10-lenet training step batch 64" --runs 1 --out step >/dev/null
check "the peers cannot read what soma writes" python3 - "$source_folder/bench" <<'CHECK'
import sys
sys.path.insert(0, sys.argv[1])
import peers
before, after = (peers.read_archive(f"step/{name}.safetensors") for name in ("before", "after"))
model = peers.read_archive("step/model.safetensors")
assert before["x"].shape == (64, 32, 32, 3) and before["y"].shape == (64,)
moved = [name for name in model if abs(model[name] - after[name]).max() > 0]
assert moved == list(model) and peers.channels_first(before["x"]).shape == (64, 3, 32, 32)
CHECK
finish
