# Time series: from a file to a model that forecasts, judged beside the seasonal naive forecast.
source "$(dirname "$0")/support/lib.sh"

"$soma" check iris --json 2>&1 | grep -q "without Jansson" && skip "built without Jansson"

# A week's rhythm on a slope, and a covariate that says tomorrow's value.
awk 'BEGIN { print "day,hint,y"
    for (t = 0; t < 300; t++) {
        y = t / 10 + 10 * ((t % 7) / 7); n = (t + 1) / 10 + 10 * (((t + 1) % 7) / 7)
        printf "2020-%d,%.4f,%.4f\n", t, n, y
    } }' >days.csv
cat >days.yaml <<'RECIPE'
task: regress
data:
  source: series
  path: days.csv
  columns: [hint]
  cycles: [7]
  length: 14
  horizon: 7
  season: 7
  scale: standard
  target_scale: standard
  validation: 0.1
model:
  - flatten
  - dense: 7
train:
  epochs: 60
  batch: 32
  optimizer: {kind: adam, rate: 0.01, schedule: cosine}
RECIPE
expect 0 "the seasonal naive forecast: mean error 0.7" "$soma" train days.yaml
model=runs/days/model.safetensors
mase=$(sed -n 's/^test: MASE \([0-9.]*\),.*/\1/p' <<<"$output")
check "MASE $mase is not below 0.5" awk "BEGIN { exit !($mase < 0.5) }"
expect 0 "over 280 samples" "$soma" eval "$model" days.csv -q
expect_json "$soma" eval "$model" days.csv --json
check "no MASE in the JSON" grep -q '"mase":0.*"naive_mase":' json.out
# Seven values after the end, the first of which is the hint.
expect 0 "days.csv" "$soma" predict "$model" days.csv
check "not 7 values: $output" test "$(wc -w <<<"$output")" = 8
check "$output" awk -v y="$(cut -d' ' -f3 <<<"$output")" 'BEGIN { exit !(y > 36.5 && y < 39.5) }'
expect 0 "(over 3 folds)" "$soma" train days.yaml --folds 3 --epochs 5 --set data.validation=0
expect 0 "x f32 [14,4], y f32 [7]" "$soma" data days.yaml

# A quantile: nine of ten targets are to lie below.
expect 0 "MASE" "$soma" train days.yaml --force --set train.loss.quantile.q=0.9 --epochs 5

# Bad input.
expect 3 "days.yaml:3: data: source series needs 'path'" "$soma" check days.yaml --set data.path=null
expect 3 "a window there needs" "$soma" check days.yaml --set data.length=400
expect 3 "the test part has 60 steps, a window there needs 90" "$soma" check days.yaml --set data.horizon=90 --set data.validation=0
expect 3 "is longer than the training part" "$soma" check days.yaml --set data.season=250
expect 3 "no column is named 'z'" "$soma" check days.yaml --set data.label=z
expect 3 "holds texts" "$soma" check days.yaml --set data.label=day
expect 3 "a number of steps above 1" "$soma" check days.yaml --set data.cycles.0=1
expect 3 "expected error, drop or previous" "$soma" check days.yaml --set data.gaps=mean
sed '100s/,[^,]*$/,/' days.csv >gap.csv
expect 3 "column 'y' has no value in data row 99" "$soma" eval "$model" gap.csv
expect 0 "training" "$soma" data days.yaml --set data.path=gap.csv --set data.gaps=drop
head -10 days.csv >short.csv
expect 3 "has 9 steps, the model looks back over 14" "$soma" predict "$model" short.csv
expect 3 "a window there needs 21" "$soma" eval "$model" short.csv
expect 3 "is none" "$soma" eval "$model" iris

if [ -e "${SOMA_DATA:-/nowhere}/timeseries/airline-passengers.csv" ]; then
    expect 0 "test       18 samples" "$soma" data air-passengers
    expect 0 "x f32 [48,1], y f32 [24]" "$soma" data beijing-pm25
else
    echo "partly skipped: no timeseries under SOMA_DATA"
fi
finish
