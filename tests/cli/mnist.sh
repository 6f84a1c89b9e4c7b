# One epoch on the real MNIST, where it is at hand: the accuracy that any sound implementation reaches.
source "$(dirname "$0")/support/lib.sh"
ls "${SOMA_DATA:-/nowhere}"/mnist/train-images-idx3-ubyte* >/dev/null 2>&1 ||
    skip "MNIST was not found under SOMA_DATA"
expect_json "$soma" train mnist-mlp -e 1 -o run --json
accuracy=$(tail -n 1 json.out | sed 's/.*"test_accuracy":\([0-9.]*\).*/\1/')
check "one epoch of mnist-mlp reaches $accuracy, not 0.95" awk "BEGIN { exit !($accuracy >= 0.95) }"
expect 0 "accuracy" "$soma" eval run/model.safetensors mnist
expect 0 "[0]  7 " "$soma" predict run/model.safetensors "$SOMA_DATA/mnist/t10k-images-idx3-ubyte.gz" --limit 3
finish
