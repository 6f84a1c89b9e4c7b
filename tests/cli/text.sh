# Data sets of text: from lines with labels to a trained model that reads others alike.
source "$(dirname "$0")/support/lib.sh"

"$soma" tokenize train "$source_folder/tests/golden/text/story.txt" --size 300 >probe.out 2>&1
grep -q "built without" probe.out && skip "built without utf8proc or Jansson"

# A review is good when it says so.
awk 'BEGIN { split("good fine great", g); split("bad poor dull", b); split("film plot the a story", w)
    for (i = 0; i < 400; i++) {
        line = ""
        for (k = 0; k < 3 + i % 5; k++) line = line w[1 + (i * 7 + k * 3) % 5] " "
        printf "%s\t%s%s\n", i % 2 ? "good" : "bad", line, i % 2 ? g[1 + i % 3] : b[1 + i % 3]
    } }' >reviews.tsv
cat >reviews.yaml <<'RECIPE'
data: {source: text, path: reviews.tsv, length: 8, lowercase: true, validation: 0.1}
model:
  - embedding: {count: 20, units: 8, padding: true}
  - flatten
  - dense: 2
train:
  epochs: 8
  batch: 16
  optimizer: {kind: adam, rate: 0.02}
RECIPE
expect 0 "test: accuracy 100.00 %" "$soma" train reviews.yaml
expect 0 "accuracy 100.00 % (400 of 400)" "$soma" eval runs/reviews/model.safetensors reviews.tsv
printf 'GOOD\nbad\ta poor film\n' >wrong.tsv
expect 3 "has no field" "$soma" eval runs/reviews/model.safetensors wrong.tsv --label 1
expect 0 "x f32 [8]" "$soma" data reviews.yaml
"$soma" check reviews.yaml >check.out 2>&1
check "ids are not numbers that want scaling" test -z "$(grep inputs-scaled check.out)"
# Lengths, masks and buckets; a review without a word is one of padding alone.
printf 'bad\t\ngood\ta good film\n' >empty.tsv
cat >buckets.yaml <<'RECIPE'
data: {source: text, path: reviews.tsv, length: 16, lowercase: true, validation: 0.1}
model:
  - graph:
      nodes:
        - {name: lengths, layer: lengths}
        - {name: words, from: input, layer: {embedding: {count: 20, units: 8, padding: true}}}
        - {name: features, layer: {concat: [conv1d: {filters: 6, kernel: 3, padding: same}, conv1d: {filters: 6, kernel: 2, padding: same}]}}
        - {name: largest, from: [features, lengths], layer: {sequence_pool: max}}
        - {name: answer, layer: {dense: 2}}
train:
  epochs: 6
  batch: 16
  buckets: [5, 7]
  optimizer: {kind: adam, rate: 0.02}
RECIPE
expect 0 "test: accuracy 100.00 %" "$soma" train buckets.yaml --seed 3
expect 0 "(2 of 2)" "$soma" eval runs/buckets/model.safetensors empty.tsv
cp runs/buckets/model.safetensors once.safetensors
expect 0 "test: accuracy" "$soma" train buckets.yaml --seed 3 --threads 2 --set train.loader_threads=3 --force
expect 0 "" cmp once.safetensors runs/buckets/model.safetensors
expect 3 "expected a list of at most 16 lengths" "$soma" check buckets.yaml --set train.buckets=7
expect 3 "bucket 2: lengths rise from 1 to at most 16" "$soma" train buckets.yaml --force --set train.buckets.1=5
expect 3 "expected whole numbers" "$soma" check buckets.yaml --set train.buckets.1=a
expect 3 "reviews.yaml:1: data: source text needs 'path'" "$soma" check reviews.yaml --set data.path=null
expect 3 "no column is named 'stars'" "$soma" check reviews.yaml --set data.label=stars
expect 3 "expected beginning or end" "$soma" check reviews.yaml --set data.keep=middle
expect 3 "no window of" "$soma" data reviews.yaml --set data.source=text-windows --set data.length=1000000

if [ -e "${SOMA_DATA:-/nowhere}/text-imdb/imdb-train.tsv.gz" ]; then
    expect 0 "negative 5000, positive 5000" "$soma" data imdb
else
    echo "partly skipped: no text-imdb under SOMA_DATA"
fi
if [ -e "${SOMA_DATA:-/nowhere}/text-tinyshakespeare/input.txt" ]; then
    expect 0 "15,685 samples, x f32 [64], y i64 [64]" "$soma" data shakespeare
else
    echo "partly skipped: no text-tinyshakespeare under SOMA_DATA"
fi
finish
