# Wrong input of every kind: a message that says what is wrong, the right exit code, no damage.
source "$(dirname "$0")/support/lib.sh"
write_recipe small.yaml
expect 0 "test: accuracy" "$soma" train small.yaml -e 1 -o ok -q
expect 0 "test: accuracy" "$soma" train iris -e 1 -o ok-iris -q
model=ok/model.safetensors
digits=$source_folder/data/digits-images-idx3-ubyte.gz
labels=$source_folder/data/digits-labels-idx1-ubyte.gz

# --- models: missing, empty, a folder, cut at every kind of place, wrong magic, lying header
expect 4 "missing.safetensors" "$soma" eval missing.safetensors digits
expect 4 "folder" "$soma" eval . digits
mkdir a-folder.safetensors
expect 4 "folder" "$soma" eval a-folder.safetensors digits
: >empty.safetensors
expect 3 "empty.safetensors" "$soma" eval empty.safetensors digits
for bytes in 1 7 8 9 100 1000 5000; do
    head -c $bytes $model >cut.safetensors
    expect 3 "cut.safetensors" "$soma" predict cut.safetensors "$source_folder/data/sample-digit.png"
done
head -c -1 $model >cut.safetensors
expect 3 "cut.safetensors" "$soma" summary cut.safetensors
{ cat $model; echo more; } >long.safetensors
expect 3 "long.safetensors" "$soma" summary long.safetensors
cp "$source_folder/data/sample-digit.png" picture.safetensors
expect 3 "picture.safetensors" "$soma" summary picture.safetensors
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 $model; } >oversized.safetensors
expect 3 "oversized.safetensors" "$soma" summary oversized.safetensors
cp $model flipped.safetensors
printf '\125' | dd of=flipped.safetensors bs=1 seek=$(($(stat -c %s $model) - 500)) conv=notrunc 2>/dev/null
expect 3 "checksum" "$soma" summary flipped.safetensors

# --- a model and data that do not belong together
expect 3 "the model takes [4]" "$soma" eval ok-iris/model.safetensors digits
expect 3 "the model takes [8,8,1]" "$soma" eval $model iris
expect 3 "[4]" "$soma" predict ok-iris/model.safetensors "$source_folder/data/sample-digit.png"
expect 3 "[8,8,1]" "$soma" predict $model "$source_folder/data/iris.csv"
expect 0 "iris.csv[149]" "$soma" predict ok-iris/model.safetensors "$source_folder/data/iris.csv"
grep -v virginica "$source_folder/data/iris.csv" >two.csv
expect 0 "of 100" "$soma" eval ok-iris/model.safetensors two.csv
cut -d, -f1-3,5 "$source_folder/data/iris.csv" >narrow.csv
expect 3 "needs the column 'petal_width'" "$soma" predict ok-iris/model.safetensors narrow.csv
sed 's/setosa/rose/; s/versicolor/tulip/' "$source_folder/data/iris.csv" >others.csv
expect 3 "rose" "$soma" eval ok-iris/model.safetensors others.csv
expect 3 "label 9, but the model has 9 classes" "$soma" train small.yaml -o nine -s model.3.dense=9
check "a folder was made for a training that cannot be" test ! -e nine
expect 3 "" "$soma" train small.yaml -o ok --resume -s model.1.dense.units=25
expect 3 "cannot resume with another seed" "$soma" train small.yaml -o ok --resume --seed 9
expect 3 "cannot resume with another batch size" "$soma" train small.yaml -o ok --resume -b 9
head -c 3000 ok/last.checkpoint >cut.checkpoint
mkdir damaged && cp cut.checkpoint damaged/last.checkpoint
expect 3 "last.checkpoint" "$soma" train small.yaml -o damaged --resume
check "the damaged checkpoint was touched" cmp cut.checkpoint damaged/last.checkpoint
cp $model damaged/last.checkpoint
expect 3 "is a model, not a checkpoint" "$soma" train small.yaml -o damaged --resume

# --- recipes
expect 3 "no built-in recipe 'missing.yaml'" "$soma" train missing.yaml
expect 3 "did you mean 'digits-mlp'" "$soma" train digits-mpl
: >empty.yaml
expect 3 "empty.yaml" "$soma" train empty.yaml
printf '\000\001\002' >binary.yaml
expect 3 "binary.yaml" "$soma" train binary.yaml
head -c 60 small.yaml >cut.yaml
expect 3 "cut.yaml" "$soma" train cut.yaml
wrong() { # wrong SED-SCRIPT TEXT…: the recipe with that change is refused with all these texts
    sed "$1" small.yaml >wrong.yaml
    shift
    local text
    for text in "$@"; do
        expect 3 "$text" "$soma" train wrong.yaml -o wrong-run
    done
    check "a folder was made for a wrong recipe" test ! -e wrong-run
}
wrong 's/units: 24/unit: 24/' "wrong.yaml:9" "unknown key 'unit'" "did you mean 'units'"
wrong 's/epochs: 4/epochs: four/' "wrong.yaml:13" "epochs"
wrong 's/epochs: 4/epochs: 0/' "wrong.yaml:13" "epochs"
wrong 's/epochs: 4/epochs: [4]/' "wrong.yaml:13" "epochs"
wrong 's/adam/adom/' "wrong.yaml:15" "did you mean 'adam'"
wrong 's/flatten/flaten/' "wrong.yaml:8" "did you mean 'flatten'"
wrong 's/source: digits/source: digit/' "did you mean 'digits'"
wrong 's/source: digits/source: csv/' "needs 'path'"
wrong 's/validation: 0.1/validation: 5000/' "5000"
wrong 's/^model:/modell:/' "did you mean 'model'"
wrong '/^model:/,/dense: 10/d' "model"
wrong 's/  - flatten/  - conv2d: {filters: 4, kernel: 11}/' "wrong.yaml:8: conv2d 'conv1'" "11x11" "8x8"
wrong 's/  - flatten/  - max_pool2d: 9/' "wrong.yaml:8: max_pool2d 'pool1'" "9x9" "8x8"
wrong 's/  - flatten/  - reshape: [5, -1]/' "wrong.yaml:8: reshape 'reshape1'" "[1,8,8,1]" "[1,5,-1]"
wrong 's/  - flatten/  - max_pool2d: 2/; s/  - dropout: 0.1/  - conv2d: {filters: 2, kernel: 5}/' "wrong.yaml:10: conv2d 'conv1'" "5x5" "4x4"
wrong 's/dropout: 0.1/dropout: 1.5/' "wrong.yaml:10" "1.5"
expect 3 "train.batch" "$soma" train small.yaml -s train.batch=none
expect 3 "unknown key 'epoch'" "$soma" train small.yaml -s train.epoch=3
expect 3 "5000" "$soma" train small.yaml -b 5000 -o big-batch
expect 3 "1294" "$soma" train small.yaml -b 5000 -o big-batch

# --- tables
table() { # table TEXT ROWS…: a CSV file with these rows is refused with that text
    local text=$1
    shift
    printf '%s\n' "$@" >table.csv
    expect 3 "$text" "$soma" train table.yaml
}
cat >table.yaml <<'E2'
data: {source: csv, path: table.csv}
model: [{dense: 2}]
train: {epochs: 1, batch: 2}
E2
expect 4 "table.csv" "$soma" train table.yaml
: >table.csv
expect 3 "table.csv" "$soma" train table.yaml
table "both parts need at least one" "a,b,label"
table "table.csv:3" "a,b,label" "1,2,x" "1,2"
table "data row 2 has no value for 'b'" "a,b,label" "1,2,x" "1,,y" "3,4,x" "1,1,x" "2,2,y"
table "data row 2" "a,b,label" "1,2,x" "1,,y" "3,4,x" "1,1,x" "2,2,y"
table "no value in data row 2" "a,b,label" "1,2,x" "1,3," "3,4,x" "1,1,x" "2,2,y"
table "table.csv" "a,b,label" "1,2,\"x" "1,3,y"
table "1.5" "a,b,label" "1,2,0" "1,3,1.5" "2,3,1" "4,5,0" "5,6,1"
expect 3 "nowhere" "$soma" data table.csv --label nowhere
head -c 40 /dev/urandom | tr -d '\n"' >noise.csv; printf '\0' >>noise.csv
expect 3 "noise.csv" "$soma" data noise.csv
printf 'a,b\n1,\n' >features.csv
expect 3 "" "$soma" predict ok-iris/model.safetensors features.csv
printf 'sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,2,,4\n' >features.csv
expect 3 "data row 2 has no value for 'petal_length'" "$soma" predict ok-iris/model.safetensors features.csv

# --- IDX
byte() { printf "\\$(printf %o "$1")"; }
images() { # COUNT: that many pictures of 2x2
    printf '\000\000\010\003'; printf '\000\000\000'; byte "$1"
    printf '\000\000\000\002\000\000\000\002'
    for ((i = 0; i < $1; i++)); do printf '\001\002\003'; byte $i; done
}
idx_labels() { # LABEL…
    printf '\000\000\010\001\000\000\000'; byte $#
    local label
    for label in "$@"; do byte "$label"; done
}
images 6 >six.idx
idx_labels 0 1 2 0 1 2 >six-labels.idx
expect 0 "6 samples" "$soma" data six.idx,six-labels.idx
cat >idx.yaml <<'E2'
data: {source: idx, images: six.idx, labels: labels.idx, test: 0}
model: [flatten, {dense: 3}]
train: {epochs: 1, batch: 2}
E2
idx_labels 0 1 2 0 7 2 >labels.idx
expect 3 "sample 4: label 7, but the model has 3 classes" "$soma" train idx.yaml
idx_labels 0 1 2 0 >labels.idx
expect 3 "same number of samples" "$soma" train idx.yaml
rm labels.idx
expect 4 "labels.idx" "$soma" train idx.yaml
: >labels.idx
expect 3 "labels.idx" "$soma" train idx.yaml
images 0 >none.idx
idx_labels >labels.idx
expect 3 "" "$soma" data none.idx,labels.idx
expect 3 "none.idx" "$soma" predict $model none.idx
head -c 20 six.idx >cut.idx
expect 3 "cut.idx" "$soma" data cut.idx,six-labels.idx
{ printf '\000\000\011\013'; tail -c +5 six.idx; } >magic.idx
expect 3 "magic.idx" "$soma" data magic.idx,six-labels.idx
{ printf '\000\000\010\003\377\377\377\377\377\377\377\377\377\377\377\377'; tail -c +17 six.idx; } >lying.idx
expect 3 "lying.idx" "$soma" data lying.idx,six-labels.idx
head -c 2000 "$digits" >cut.gz
expect 3 "cut.gz" "$soma" data cut.gz,"$labels"
expect 3 "[6,2,2,1]" "$soma" predict $model six.idx

# --- pictures, names
head -c 200 "$source_folder/data/sample-digit.png" >cut.png
expect 3 "cut.png" "$soma" predict $model cut.png
cp six.idx not.png
expect 3 "not.png" "$soma" predict $model not.png
expect 4 "missing.png" "$soma" predict $model missing.png
expect 3 "is a table" "$soma" predict ok-iris/model.safetensors features.csv --invert
expect 3 "did you mean 'conv2d'" "$soma" ops conv2
expect 3 "did you mean 'dropout'" "$soma" ops --layers dropuot
expect 3 "did you mean 'nadam'" "$soma" ops --optimizers nadan
expect 3 "no schedule 'cosin'; did you mean 'cosine'" "$soma" ops --schedules cosin
expect 3 "did you mean 'iris'" "$soma" data irs
expect 3 "found no train-images" env -u SOMA_DATA "$soma" train mnist-mlp
expect 3 "no line" "$soma" bench nothing-like-this

# An error is an object too with --json.
expect 3 '{"event":"error"' "$soma" eval empty.safetensors digits --json
check "the exit code is not in it" grep -q '"exit_code":3' <<<"$output"
finish
