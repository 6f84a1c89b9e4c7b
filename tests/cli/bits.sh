# The same bytes of the saved model with 1, 2 and 3 threads, with a convolution, dropout, an odd last
# batch and every instruction set of this machine.
source "$(dirname "$0")/support/lib.sh"
for isa in baseline avx2 avx512 avx512_bf16; do
    "$soma" train iris -e 1 -o probe -f -q --isa $isa >/dev/null 2>&1 || continue
    for recipe in digits-cnn digits-mlp; do
        for threads in 1 2 3; do
            expect 0 "test: accuracy" "$soma" train $recipe -e 1 -q -t $threads --isa $isa -o $isa-$recipe-$threads
        done
        for threads in 2 3; do
            check "$recipe, $isa: 1 and $threads threads give different bits" \
                cmp $isa-$recipe-1/model.safetensors $isa-$recipe-$threads/model.safetensors
        done
    done
    for threads in 1 3; do
        expect 0 "test: accuracy" "$soma" train digits-cnn -e 1 -q -t $threads --isa $isa \
            --set train.precision=bf16 -o $isa-bf16-$threads
    done
    check "bf16, $isa: 1 and 3 threads give different bits" \
        cmp $isa-bf16-1/model.safetensors $isa-bf16-3/model.safetensors
    check "bf16, $isa: the bits of f32" \
        test "$(cksum <$isa-bf16-1/model.safetensors)" != "$(cksum <$isa-digits-cnn-1/model.safetensors)"
done
check "no instruction set worked" test "$checks" -gt 0
finish
