# Pairs of texts: from lines with a tab to a model that translates, measured by BLEU.
source "$(dirname "$0")/support/lib.sh"

"$soma" tokenize train "$source_folder/tests/golden/text/story.txt" --size 300 >probe.out 2>&1
grep -q "built without" probe.out && skip "built without utf8proc or Jansson"

# A language with another word for each word, and the adjective behind.
awk 'BEGIN { split("red blue old new big", a); split("rouge bleu vieux neuf grand", x)
    split("car house dog book tree door", n); split("auto maison chien livre arbre porte", y)
    split("see have want", v); split("vois ai veux", z)
    for (i = 1; i <= 3; i++) for (k = 1; k <= 5; k++) for (m = 1; m <= 6; m++)
        printf "I %s a %s %s\tje %s un %s %s\textra\n", v[i], a[k], n[m], z[i], y[m], x[k] }' >pairs.tsv
cat >pairs.yaml <<'RECIPE'
data: {source: pairs, path: pairs.tsv, tokenizer: word, length: 7, target_length: 8, test: 0.15}
model:
  - graph:
      inputs: [source, target]
      nodes:
        - {name: lengths, from: source, layer: lengths}
        - {name: read, from: source, layer: [embedding: {count: 40, units: 32, padding: true}, positions]}
        - {name: memory, from: [read, lengths], layer: {transformer_encoder: {heads: 2, units: 64}}}
        - {name: said, from: target, layer: [embedding: {count: 40, units: 32, padding: true}, positions]}
        - {name: decoded, from: [said, memory, lengths], layer: {transformer_decoder: {heads: 2, units: 64}}}
        - {name: next, layer: {dense: 40}}
train:
  epochs: 60
  batch: 16
  optimizer: {kind: adam, rate: 0.003}
RECIPE
expect 0 "perplexity 1." "$soma" train pairs.yaml
model=runs/pairs/model.safetensors
expect 0 "BLEU 100.00 (beam 1)" "$soma" eval $model pairs.tsv
expect 0 "BLEU 100.00 (beam 3)" "$soma" eval $model pairs.tsv --beam 3 --length-penalty 1
expect 0 '"bleu":' "$soma" eval $model pairs.tsv --json
expect 0 "je veux un chien rouge" "$soma" generate $model --prompt "I want a red dog"
expect 0 '"text":"je ai un arbre neuf"' "$soma" generate $model --prompt "I have a new tree" --beam 2 --json
# Unknown words, nothing, and more than fits.
expect 0 "" "$soma" generate $model --prompt "I want a purple dog"
expect 0 "" "$soma" generate $model
expect 0 "" "$soma" generate $model --prompt "I want a red dog I want a red dog I want a red dog"

printf 'one\n' >broken.tsv
expect 3 "broken.tsv:1: a line is a text, a tab and its translation" "$soma" eval $model broken.tsv
printf 'one\t\n' >empty.tsv
expect 3 "empty.tsv:1" "$soma" eval $model empty.tsv
expect 3 "needs 'path'" "$soma" check pairs.yaml --set data.path=null
expect 3 "takes 1 inputs" "$soma" check pairs.yaml --set 'model.0.graph.inputs=[target]'
expect 0 "x f32 [15]" "$soma" data pairs.yaml
finish
