# Tables from the file to the prediction: gaps, categories, a target in its own units, and the encoding in
# the model file.
source "$(dirname "$0")/support/lib.sh"

# y = 1000 + 100 n, and 300 more for colour b; a gap now and then.
awk 'BEGIN { print "n;colour;id;y"
    for (i = 0; i < 200; i++) {
        n = (i * 37) % 20; colour = i % 3 ? "a" : "b"
        printf "%s;%s;%d;%d\n", i % 25 == 24 ? "" : n, colour, i, 1000 + 100 * n + (colour == "b" ? 300 : 0)
    } }' >line.csv
cat >line.yaml <<'RECIPE'
task: regress
data: {source: csv, path: line.csv, label: y, ignore: [id], missing: drop, scale: standard, target_scale: standard}
model:
  - dense: 1
train:
  epochs: 60
  batch: 16
  optimizer: {kind: adam, rate: 0.03}
RECIPE
expect 0 "" "$soma" train line.yaml
printf 'colour,n\nb,10\na,10\nc,0\n' >new.csv
expect 0 "new.csv[2]" "$soma" predict runs/line/model.safetensors new.csv
check "the target is not in its own units: $output" awk -v text="$output" 'BEGIN {
    split(text, w, /[ \n]+/); exit !(w[2] > 2290 && w[2] < 2310 && w[4] > 1990 && w[4] < 2010) }'
printf '5;a\n' >bare.csv
expect 3 "2 columns without names" "$soma" predict runs/line/model.safetensors bare.csv
printf '5;a;7\n' >bare.csv
expect 0 "bare.csv" "$soma" predict runs/line/model.safetensors bare.csv
printf 'colour,n\nb,\n' >gap.csv
expect 3 "data row 1 has no value for 'n'" "$soma" predict runs/line/model.safetensors gap.csv
expect 3 "line.yaml:2: data.target_scale" "$soma" train line.yaml --set task=binary --set data.label=colour -f
sed 's/label: y/label: [y, [n]]/' line.yaml >list.yaml
expect 3 "list.yaml:2: data.label: expected names of columns, got list" "$soma" train list.yaml
expect 3 "no column is named 'colou'; did you mean 'colour'" "$soma" train line.yaml --set data.label=colou -f
expect 3 "data.separator" "$soma" train line.yaml --set data.separator=:: -f

# Categories and a task of two classes, by text.
expect 0 "accuracy" "$soma" train line.yaml --set task=classify --set data.label=colour \
    --set data.target_scale=none --set model.0.dense=2 --set name=colours --set train.epochs=1
printf 'n,y\n3,1600\n4,1400\n' >new-n.csv
expect 0 "a " "$soma" predict runs/colours/model.safetensors new-n.csv --limit 1

if [ -e "${SOMA_DATA:-/nowhere}/tabular/german.csv" ]; then
    sed 's/^task.*/task: classify/; s/^data.*/data: {source: german-credit, scale: standard}/; s/dense: 1/dense: 2/' line.yaml >german.yaml
    expect 0 "accuracy" "$soma" train german.yaml -e 3
    expect 0 "accuracy" "$soma" eval runs/german/model.safetensors german-credit
    by_name=$output
    expect 0 "of 1,000" "$soma" eval runs/german/model.safetensors "$SOMA_DATA/tabular/german.csv"
    check "200 loans by name: $by_name" grep -q 'of 200' <<<"$by_name"
    expect 3 "binary task" "$soma" train german.yaml --set task=binary --set data.label=purpose -f
else
    echo "partly skipped: no tabular/german.csv under SOMA_DATA"
fi
finish
