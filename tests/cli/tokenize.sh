# soma tokenize: train, encode, decode and show, of each kind, on files and standard input.
source "$(dirname "$0")/support/lib.sh"
story=$source_folder/tests/golden/text/story.txt

expect 3 "there is no 'soma tokenize chew'" "$soma" tokenize chew
expect 3 "train on what" "$soma" tokenize train
expect 3 "with which tokeniser" "$soma" tokenize encode
expect 3 "did you mean 'byte'" "$soma" tokenize train "$story" --kind bite
expect 4 "no-such-file" "$soma" tokenize train no-such-file
"$soma" tokenize train "$story" --size 300 >probe.out 2>&1
grep -q "built without" probe.out && skip "built without utf8proc or Jansson"
expect 3 "at least 257" "$soma" tokenize train "$story" --size 10
check "a failed training wrote a file" test "$(grep -c '"merges"' tokenizer.json)" = 1

for kind in word char byte bpe; do
    expect 0 "$kind, " "$soma" tokenize train "$story" --kind "$kind" -o "$kind.json"
    expect 0 "$kind, " "$soma" tokenize show "$kind.json"
    expect 0 "bytes a token" "$soma" tokenize show "$kind.json" "$story"
    check "$kind does not encode" bash -c '"$1" tokenize encode "$2" "$3" >ids' - "$soma" "$kind.json" "$story"
    check "$kind: a line of ids for each line" test "$(wc -l <ids)" = "$(wc -l <"$story")"
    check "$kind does not decode" bash -c '"$1" tokenize decode "$2" <ids >back' - "$soma" "$kind.json"
    [ "$kind" = word ] || check "$kind does not give the text back" cmp back "$story"
done
printf '%s\n' "the lighthouse keeper didn't" | "$soma" tokenize encode word.json >ids
check "words: $(cat ids)" test "$("$soma" tokenize decode word.json ids)" = "the lighthouse keeper didn ' t"
printf 'a\xff\n\nb' | "$soma" tokenize encode bpe.json | "$soma" tokenize decode bpe.json >back
check "bytes that are not UTF-8 change" test "$(od -An -tx1 back | tr -d ' \n')" = 61ff0a0a620a
gzip -c "$story" >story.gz
check "gzip gives other ids" cmp <("$soma" tokenize encode bpe.json story.gz) <("$soma" tokenize encode bpe.json "$story")
expect 0 "word, 2 tokens" "$soma" tokenize train "$story" --kind word --size 3 -o small.json --min-count 1000000
expect 3 "line 2, byte 3: not an id" bash -c 'printf "1 2\n3 x\n" | "$1" tokenize decode bpe.json' - "$soma"
expect 3 "ids are from 0 to" bash -c 'echo 99999999 | "$1" tokenize decode bpe.json' - "$soma"
expect 3 "not an id" bash -c 'echo 99999999999999999999 | "$1" tokenize decode bpe.json' - "$soma"
expect 3 "no \"model\"" bash -c 'echo "{}" >bad.json; "$1" tokenize show bad.json' - "$soma"
golden=$source_folder/tests/golden/text
expect 0 "<|endoftext|>" "$soma" tokenize show "$golden/vocab.json,$golden/merges.txt"
expect_json "$soma" tokenize encode bpe.json "$story" --json
check "no offsets" grep -q '"offsets":\[\[0,' json.out
expect_json "$soma" tokenize train "$story" --json -o again.json
check "two trainings differ" cmp again.json bpe.json
finish
