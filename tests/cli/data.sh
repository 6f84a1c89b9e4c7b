# soma data: list, show, check on what is embedded and on files made here.
source "$(dirname "$0")/support/lib.sh"
unset SOMA_DATA

expect 0 "SOMA_DATA  (not set)" "$soma" data
expect 0 "cifar10            not found" "$soma" data list
expect 0 "training   1,438 samples" "$soma" data show digits --sheet digits.png
check "the sheet is no PNG" grep -q PNG digits.png
expect 0 "sepal_length" "$soma" data show iris
expect 3 "no pictures that a sheet can show" "$soma" data show iris --sheet iris.png
expect_json "$soma" data show iris --json
check "statistics of four features" [ "$(grep -c '"event":"feature"' json.out)" = 4 ]
expect 0 "digits: nothing is wrong" "$soma" data check digits
expect 0 "is also in the training part" "$soma" data check iris
expect_json "$soma" data check iris --json
check "a finding has its name" grep -q '"check":"leak","severity":"warning"' json.out
expect 0 "nothing is wrong" "$soma" data check digits-cnn
expect 2 "knows list, show, check and fetch" "$soma" data look digits
expect 3 "did you mean 'digits'" "$soma" data check digit

printf 'a,b,y\n1,2,u\n1,2,v\n,3,u\n' >t.csv
expect 3 "data row 3 has no value for 'a'" "$soma" data check t.csv
printf 'a,b,y\n1,2,u\n1,2,v\n4,3,u\n' >t.csv
expect 0 "label-conflict" "$soma" data check t.csv
printf 'a,y\n1,2.5\n2,3.5\n' >t.csv
expect 0 "y f32 [1]" "$soma" data show t.csv

# A folder of pictures: one that is none, one twice, and in two parts.
mkdir -p pictures/train/{ones,twos} pictures/test/ones
cp digits.png pictures/train/ones/a.png
cp "$source_folder/data/sample-digit.png" pictures/train/twos/b.png
cp "$source_folder/data/sample-digit.png" pictures/test/ones/c.png
echo nothing >pictures/train/twos/bad.png
expect 3 "pictures/train/twos/bad.png" "$soma" data check pictures/
rm pictures/train/twos/bad.png
expect 0 "pictures/test/ones/c.png of the test part is also in the training part" "$soma" data check pictures
check "other label: $output" grep -q "label-conflict" <<<"$output"
cat >pictures.yaml <<'RECIPE'
data: {source: folder, path: pictures, size: 12, channels: 1, scale: unit}
model: [flatten, dense: 2]
train: {epochs: 2, batch: 2}
RECIPE
expect 0 "accuracy" "$soma" train pictures.yaml
expect 0 "ones" "$soma" predict runs/pictures/model.safetensors pictures/test/ones/c.png
expect 0 "of 1)" "$soma" eval runs/pictures/model.safetensors pictures/
expect 3 "channels: pictures have 1 or 3" "$soma" train pictures.yaml --set data.channels=2 -f
finish
