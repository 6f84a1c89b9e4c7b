# Transforms in recipes: they come with the model, do not depend on loader threads, are listed.
source "$(dirname "$0")/support/lib.sh"

cat >turned.yaml <<'END'
data:
  source: digits
  validation: 0.1
  transforms:
    - pad_crop: 1
    - rand_augment: 5
    - resize: 10
    - normalize: {mean: 0.5, std: 0.25}
    - mixup: 0.2
model: [flatten, dense: {units: 32, activation: relu}, dense: 10]
train: {epochs: 2, optimizer: adam}
END
expect 0 "test: accuracy" "$soma" train turned.yaml -o one
accuracy=$(sed -n 's/^test: accuracy //p' <<<"$output")
expect 0 "test: accuracy" "$soma" train turned.yaml -o three --set train.loader_threads=3
check "three loader threads give other bits" cmp one/model.safetensors three/model.safetensors

# A run that was stopped after its first epoch ends in the same bits: the second epoch draws anew.
expect 0 "test: accuracy" "$soma" train turned.yaml -o cut -e 1
expect 0 "test: accuracy" "$soma" train turned.yaml -o cut --resume
check "a resumed run has other bits" cmp one/model.safetensors cut/model.safetensors

# Data is given to the model as evaluation saw it.
expect 0 "digits: accuracy $accuracy" "$soma" eval one/model.safetensors digits
expect 0 "sample-digit.png" "$soma" predict one/model.safetensors "$source_folder/data/sample-digit.png"

expect 0 "rand_augment" "$soma" ops --transforms
expect 0 "also the short form" "$soma" ops --transforms pad_crop
expect 0 '"when":"always"' "$soma" ops --transforms resize --json
expect 3 "did you mean 'flip'" "$soma" ops --transforms flop
expect 3 "data.transforms.0.pad_crop.pad: must be from 1" \
    "$soma" train turned.yaml -o bad --set data.transforms.0.pad_crop=0
expect 0 "images/s a core" "$soma" bench "transforms flip 32"
