# The linter: nothing is found in the shipped recipes, mistakes are, and a training warns of them.
source "$(dirname "$0")/support/lib.sh"

# What is there to find: more than a quarter of the wines are in the table twice or more.
known() {
    case $1 in
    wine-quality) echo duplicates ;;
    esac
}
export SOMA_DATA=${SOMA_DATA:-"$source_folder/data"}
checked=0
for recipe in $("$soma" train --list | cut -d' ' -f1); do
    output=$("$soma" check "$recipe" --json 2>&1)
    code=$?
    # Data that is not at hand is no finding.
    if [ $code = 3 ] && grep -q '"event":"error"' <<<"$output"; then
        continue
    fi
    checked=$((checked + 1))
    found=$(sed -n 's/.*"id":"\([a-z-]*\)","severity":"\(warning\|fault\)".*/\1/p' <<<"$output" | sort -u)
    check "soma check $recipe finds '$found'" test "$found" = "$(known "$recipe")"
done
check "only $checked recipes were checked" test "$checked" -ge 4

cat >wrong.yaml <<'END'
data:
  source: digits
  validation: 0.1
model:
  - flatten
  - dense: 32
  - dense: {units: 10, activation: softmax}
  - dropout: 0.5
train: {epochs: 1, optimizer: {kind: sgd, rate: 1e-12}}
END
expect 1 "[no-nonlinearity]" "$soma" check wrong.yaml
for id in dropout-after-output inputs-scaled rate; do
    check "not found: $id" grep -q "\[$id\]" <<<"$output"
done
check "no fix is told" grep -q "fix: " <<<"$output"
expect 1 '"event":"done","faults":0,"warnings":' "$soma" check wrong.yaml --json
expect 1 "[softmax-twice]" "$soma" check wrong.yaml --set model.3=relu --set model.2.dense.activation=linear \
    --set model.3=softmax
expect 3 "labels go from 0 to 7" "$soma" check digits-mlp --set model.4.dense=8
expect 0 "batch-norm-one" "$soma" check --list
expect 0 "" "$soma" check iris --set train.optimizer.kind=lbfgs --set train.batch=all
expect 3 "there is no recipe" "$soma" check none-such
check "a check leaves files" test "$(ls)" = wrong.yaml

# A training prints what is quickly seen, once, and goes on.
expect 0 "test: accuracy" "$soma" train wrong.yaml -o run
check "no warning" grep -q "warning: .*\[no-nonlinearity\]" <<<"$output"
check "the slow checks ran" test -z "$(grep "\[rate\]" <<<"$output")"
expect 0 "test: accuracy" "$soma" train wrong.yaml -o quiet --no-check
check "--no-check warns" test -z "$(grep "no-nonlinearity" <<<"$output")"
expect 0 '"event":"warning","message":"there is no activation' "$soma" train wrong.yaml -o json --json
