# kill -9 at random moments: the training always goes on, and ends in the bits of an undisturbed one.
# SOMA_TEST_KILLS says how often (default 50).
source "$(dirname "$0")/support/lib.sh"
kills=${SOMA_TEST_KILLS:-50}
# A program killed while it writes what it covered leaves half a file: apart from the others'.
export GCOV_PREFIX=$PWD/covered
write_recipe small.yaml
run() { "$soma" train small.yaml -e 12 -s train.checkpoint_steps=$1 -o run --resume -q -t 2; }

"$soma" train small.yaml -e 12 -o straight -q -t 2 >/dev/null || fail "the undisturbed run"
# How long one run takes here, in milliseconds, sets how long to wait before a kill.
start=$(date +%s%N)
run 3 >/dev/null || fail "the run with checkpoints"
whole=$((($(date +%s%N) - start) / 1000000))
check "checkpoints changed the bits" cmp straight/model.safetensors run/model.safetensors
rm -rf run

RANDOM=7
killed=0
finished=0
for ((attempt = 0; killed < kills && attempt < 20 * kills; attempt++)); do
    "$soma" train small.yaml -e 12 -s train.checkpoint_steps=$((1 + RANDOM % 5)) -o run --resume -q \
        -t 2 >/dev/null 2>err.txt &
    process=$!
    milliseconds=$((RANDOM % (whole / 2 + 2)))
    sleep "$((milliseconds / 1000)).$(printf %03d $((milliseconds % 1000)))"
    kill -9 $process
    wait $process
    case $? in
    137) killed=$((killed + 1)) ;;
    0)
        finished=$((finished + 1))
        check "other bits after $killed kills" cmp straight/model.safetensors run/model.safetensors
        rm -rf run
        ;;
    *) fail "the run ended by itself after $killed kills: $(cat err.txt)" && break ;;
    esac
done 2>/dev/null
check "only $killed of $kills kills" test "$killed" = "$kills"
expect 0 "test: accuracy" run 2
check "other bits at the end" cmp straight/model.safetensors run/model.safetensors
check "half files were left: $(ls run)" test -z "$(ls run | grep tmp)"
echo "$killed kills, $((finished + 1)) trainings ended"
finish
