# Every command does what it says, on the embedded data.
source "$(dirname "$0")/support/lib.sh"
write_recipe small.yaml

# train
expect 0 "test: accuracy" "$soma" train small.yaml
check "no line per epoch" grep -q "^epoch 4/4 .*validation" <<<"$output"
check "no confusion matrix" grep -q "^confusion" <<<"$output"
check "a bar was drawn although this is no terminal" test "$(grep -c $'\r' <<<"$output")" = 0
for file in model.safetensors best.safetensors last.checkpoint history.jsonl; do
    check "no runs/small/$file" test -s "runs/small/$file"
done
check "no curves" test -s runs/small/curves.png -o -s runs/small/curves.svg
check "history has no 4 lines" test "$(wc -l <runs/small/history.jsonl)" = 4
expect 1 "--resume goes on" "$soma" train small.yaml
cp runs/small/model.safetensors first.safetensors
expect 0 "test: accuracy" "$soma" train small.yaml --force --quiet
check "the same seed gave another model" cmp first.safetensors runs/small/model.safetensors
expect 0 "test: accuracy" "$soma" train small.yaml --force --quiet --seed 4
check "another seed gave the same model" test "$(cmp -s first.safetensors runs/small/model.safetensors; echo $?)" = 1
expect_json "$soma" train small.yaml -o json --json
check "no start line" grep -q '^{"event":"start"' json.out
check "no 4 epochs" test "$(grep -c '^{"event":"epoch"' json.out)" = 4
check "no test accuracy" grep -q '"test_accuracy":0\.[89]' json.out
expect 0 "test: accuracy" "$soma" train iris -o iris -e 3 -b 8 -s train.optimizer.rate=0.005 -t 1
expect 0 "over 3 folds" "$soma" train iris --folds 3 -e 2
check "--folds left a folder" test ! -e runs/iris
expect_json "$soma" train iris --folds 3 -e 2 --json
check "no 3 folds" test "$(grep -c '^{"event":"fold"' json.out)" = 3
check "no deviation" grep -q '"accuracy_deviation":' json.out
expect 3 "there can be 2 to 120" "$soma" train iris --folds 200 -e 1
expect 2 "at least 2" "$soma" train iris --folds 1
expect 0 "mnist-cnn" "$soma" train --list
expect_json "$soma" train --list --json
expect 0 "parameters" "$soma" train digits-cnn --dry-run
check "--dry-run made a folder" test ! -e runs/digits-cnn
expect_json "$soma" train digits-cnn --dry-run --json
expect 5 "does not fit into memory" "$soma" train digits-mlp --dry-run -s model.1.dense.units=400000000
expect 0 "test: accuracy" "$soma" train small.yaml -o nested/a/b -e 1 -q
expect 0 "warning: the first loss" "$soma" train small.yaml -o raw -e 1 -q -s data.scale=none
sed 's/24, activation: relu/24, activation: relu, frozen: true/' small.yaml >frozen.yaml
expect 0 "trainable" "$soma" train frozen.yaml --dry-run

# The same bits whichever way the overrides are given.
"$soma" train small.yaml -o o1 -e 2 -b 32 -q >/dev/null
"$soma" train small.yaml -o o2 -s train.epochs=2 -s train.batch=32 -q >/dev/null
check "--epochs and --set differ" cmp o1/model.safetensors o2/model.safetensors

# eval
expect 0 "precision" "$soma" eval runs/small/model.safetensors digits
expect_json "$soma" eval json/model.safetensors digits --json -b 7
accuracy=$(grep -o '"accuracy":[0-9.]*' json.out)
expect_json "$soma" eval json/model.safetensors digits --json
check "accuracy depends on the batch" test "$accuracy" = "$(grep -o '"accuracy":[0-9.]*' json.out)"
expect 0 "setosa" "$soma" eval iris/model.safetensors iris
expect 0 "150" "$soma" eval iris/model.safetensors "$source_folder/data/iris.csv" --label species

# predict
expect 0 " 3 " "$soma" predict json/model.safetensors "$source_folder/data/sample-digit.png"
expect_json "$soma" predict json/model.safetensors "$source_folder/data/sample-digit.png" --json --top 10
check "not 10 classes" test "$(grep -o '"class"' json.out | wc -l)" = 10
expect 0 "%" "$soma" predict json/model.safetensors "$source_folder/data/sample-digit.png" --invert
expect_json "$soma" predict json/model.safetensors "$source_folder/data/digits-images-idx3-ubyte.gz" --limit 5 --json
check "not 5 samples" test "$(grep -c '"event":"sample"' json.out)" = 5
cut -d, -f1-4 "$source_folder/data/iris.csv" >features.csv
expect 0 "features.csv[149]" "$soma" predict iris/model.safetensors features.csv
tail -n +2 features.csv | head -n 2 >bare.csv
expect 0 "bare.csv[1]" "$soma" predict iris/model.safetensors bare.csv
expect 0 "bare.csv[1]" "$soma" predict iris/model.safetensors features.csv bare.csv

# regression and binary targets
{
    echo "a,b,y"
    for i in $(seq 1 60); do echo "$((i % 7)),$((i % 5)),$((2 * (i % 7) - (i % 5)))"; done
} >line.csv
cat >line.yaml <<'E2'
task: regress
data: {source: csv, path: line.csv, label: y, scale: standard}
model: [{dense: {units: 8, activation: tanh}}, {dense: 1}]
train: {epochs: 3, batch: 8, optimizer: adam}
E2
expect 0 "mean squared error" "$soma" train line.yaml
expect 0 "mean squared error" "$soma" eval runs/line/model.safetensors line.csv --label y
cut -d, -f1,2 line.csv | head -n 4 >line-features.csv
expect 0 "line-features.csv[2]" "$soma" predict runs/line/model.safetensors line-features.csv
expect_json "$soma" predict runs/line/model.safetensors line-features.csv --json
sed 's/,-[0-9]*$/,0/; s/,[1-9][0-9]*$/,1/' line.csv >sign.csv
sed 's/regress/binary/; s/line.csv/sign.csv/' line.yaml >sign.yaml
expect 0 "test: accuracy" "$soma" train sign.yaml
expect 0 "%" "$soma" predict runs/sign/model.safetensors line-features.csv

# summary, profile
expect 0 "151,306 parameters" "$soma" summary digits-cnn
expect 0 "24" "$soma" summary json/model.safetensors
expect_json "$soma" summary json/model.safetensors --json
expect 0 "inference of 32" "$soma" profile digits-mlp --runs 2
expect 0 "a training step of 16" "$soma" profile digits-mlp --train --batch 16 --runs 2 --dot plan.dot
check "no picture of the plan" grep -q digraph plan.dot
expect_json "$soma" profile json/model.safetensors --json --runs 2
expect_json "$soma" profile runs/line/model.safetensors --train --json --runs 2
expect 0 "(roofline): it takes" "$soma" profile digits-cnn --runs 2
for by in kernel op name; do
    expect_json "$soma" profile digits-cnn --train --runs 2 --by $by --json
    check "steps by $by do not add up" test "$(grep -o '"steps":[0-9]*' json.out | cut -d: -f2 | head -n -1 | awk '{s += $1} END {print s}')" \
        = "$(tail -n 1 json.out | grep -o '"steps":[0-9]*' | cut -d: -f2)"
done
expect 0 "conv2d" "$soma" profile digits-cnn --runs 2 --by kernel
expect 2 "--by is step, kernel, op or name" "$soma" profile digits-cnn --by time
expect 0 "inference of 4" "$soma" profile digits-cnn --batch 4 --runs 3 --trace trace.json --quiet
check "three runs are not in the trace" test "$(grep -c '"cat":"run"' trace.json)" = 3
if command -v python3 >/dev/null; then
    check "the trace is not what Perfetto reads" python3 - <<'CHECK'
import json
events = json.load(open("trace.json"))["traceEvents"]
runs = [e for e in events if e.get("cat") == "run"]
steps = [e for e in events if e["ph"] == "X" and e.get("cat") != "run"]
assert len(steps) % 3 == 0 and all(e["dur"] >= 0 and set(e["args"]) == {"name", "kernel", "flops", "bytes"} for e in steps)
assert any(e["args"]["flops"] > 0 for e in steps)
for step in steps:  # each lies within one run
    assert any(r["ts"] - 0.01 <= step["ts"] and step["ts"] + step["dur"] <= r["ts"] + r["dur"] + 0.01 for r in runs)
CHECK
fi
expect 4 "" "$soma" profile iris --runs 1 --trace no/such/folder/trace.json

# ops, data, bench
expect 0 "conv2d" "$soma" ops
expect 0 "stride" "$soma" ops conv2d
expect 0 "cpu fused" "$soma" ops
expect 0 " worked by hand" "$soma" ops conv2d
expect 0 "spatial_dropout" "$soma" ops --layers
expect 0 "filters" "$soma" ops --layers conv2d
expect_json "$soma" ops --json
expect_json "$soma" ops --layers --json
expect 0 "radam" "$soma" ops --optimizers
expect 0 "clip_norm" "$soma" ops --optimizers adam
expect 0 "one_cycle" "$soma" ops --schedules
expect_json "$soma" ops --schedules --json
expect_json "$soma" ops --optimizers lion --json
for op in $("$soma" ops --json | grep -o '"event":"op","name":"[a-z0-9_]*"' | cut -d'"' -f8); do
    expect 0 "gradient" "$soma" ops "$op"
done
expect 0 "digits" "$soma" data
expect_json "$soma" data --json
expect 0 "359 samples" "$soma" data digits
expect_json "$soma" data iris --json
expect 0 "150 samples" "$soma" data "$source_folder/data/iris.csv"
expect 0 "GFLOP/s" "$soma" bench "matmul 256" --runs 3
expect_json "$soma" bench "mlp training step batch 32" --runs 3 --json
check "a training step allocates" grep -q '"allocations":0,' json.out
expect 0 "resnet18 inference batch 1" "$soma" bench --list
expect_json "$soma" bench --list --json
expect_json "$soma" bench "matmul 64x64x64" --runs 3 --json
check "a whole name is not one line" test "$(grep -c '"event":"bench"' json.out)" = 1
check "no 3 runs" grep -q '"runs":3,' json.out
expect 3 "no line of" "$soma" bench nonsense
expect 3 "give its whole name" "$soma" bench matmul --out computed
expect 0 "training step" "$soma" bench "mnist-mlp training step batch 32" --runs 3 --out computed
for file in model before after; do
    check "no computed/$file.safetensors" test -s computed/$file.safetensors
done
expect 0 "203,530 parameters" "$soma" summary computed/model.safetensors
check "no outputs in after.safetensors" grep -q output.0 computed/after.safetensors
expect 0 "adam" "$soma" bench "adam over 1e7" --runs 1 --out computed-adam
expect 0 "steps/s" "$soma" bench "1000 steps on one value" --runs 3 --isa reference

# An autoencoder is judged by its inputs, and its code holds the digits apart.
"$soma" train digits-autoencoder -e 15 -q -o autoencoder >/dev/null
expect 0 "R2 0" "$soma" eval autoencoder/model.safetensors digits
expect 0 "mutual information with the labels" "$soma" cluster autoencoder/model.safetensors digits --layer code --out clusters.csv
check "no table of clusters" test "$(wc -l <clusters.csv)" = 360
expect_json "$soma" cluster autoencoder/model.safetensors digits --clusters 4 --json
expect 3 "no layer" "$soma" cluster autoencoder/model.safetensors digits --layer none

# Probes say what they find and leave nothing behind.
expect 0 "learnt by heart" "$soma" probe iris
expect 0 "falls fastest" "$soma" probe iris --rate --steps 60 --plot rate.svg
check "no curve" grep -q "<svg" rate.svg
expect_json "$soma" probe iris --json
check "a probe left a run" test ! -e runs/iris

# every instruction set that this machine has
for isa in reference baseline avx2 avx512 avx512_bf16; do
    if "$soma" data digits --isa $isa >/dev/null 2>&1 && "$soma" train iris -e 1 -q -f -o isa --isa $isa >/dev/null 2>&1; then
        expect 0 "test: accuracy" "$soma" train iris -e 30 -q -f -o isa --isa $isa
    fi
done
finish
