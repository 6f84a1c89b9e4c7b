# soma generate: a text goes on, the same for a seed; what it cannot go on from is told.
source "$(dirname "$0")/support/lib.sh"

"$soma" tokenize train "$source_folder/tests/golden/text/story.txt" --size 300 >probe.out 2>&1
grep -q "built without" probe.out && skip "built without utf8proc or Jansson"

# A text that says the same again and again is soon known by heart.
for _ in $(seq 60); do printf 'one two three four five six. '; done >count.txt
cat >count.yaml <<'RECIPE'
data: {source: text-windows, path: count.txt, length: 24, stride: 5}
model:
  - embedding: {count: 16, units: 16}
  - positions: 24
  - transformer_encoder: {heads: 2, causal: true}
  - dense: 16
train:
  steps: 150
  batch: 16
  optimizer: {kind: adam, rate: 0.01}
RECIPE
expect 0 "perplexity 1." "$soma" train count.yaml --set data.test=0.2
model=runs/count/model.safetensors

expect 0 "one two three four" "$soma" generate $model --prompt 'one t' --temperature 0 --tokens 15
"$soma" generate $model -p 'one' --tokens 60 --seed 3 --temperature 2 >a.out
"$soma" generate $model -p 'one' --tokens 60 --seed 3 --temperature 2 --threads 1 >b.out
"$soma" generate $model -p 'one' --tokens 60 --seed 4 --temperature 2 >c.out
check "a seed gives two texts" cmp a.out b.out
check "not 60 characters, the prompt and a line end" [ "$(wc -c <a.out)" -eq 64 ]
check "another seed gives the same text" [ "$(cat a.out)" != "$(cat c.out)" ]
expect 0 "one two three four" "$soma" generate $model -p 'one ' --beam 3 --tokens 14
expect 0 '"event":"done","tokens":5' "$soma" generate $model -p 'one' --tokens 5 --json
expect 0 "" "$soma" generate $model --tokens 3 --top-k 3 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.2
# Characters that training did not have, and a prompt beyond the context.
expect 0 "ZÜ" "$soma" generate $model -p 'ZÜ' --tokens 3
expect 0 "" "$soma" generate $model -p "$(cat count.txt)" --tokens 3

expect 2 "number of at least 0" "$soma" generate $model --temperature=-1
expect 2 "number of at least 0" "$soma" generate $model --top-p x
expect 3 "must be from 0 to 1" "$soma" generate $model --top-p 1.5
expect 0 "" "$soma" train digits-mlp --epochs 1 --quiet
expect 3 "did not learn from text" "$soma" generate runs/digits-mlp/model.safetensors
sed 's/, causal: true//' count.yaml >ahead.yaml
expect 0 "" "$soma" train ahead.yaml --quiet --set train.steps=2
expect 3 "is not causal" "$soma" generate runs/ahead/model.safetensors -p one
finish
