# SIGINT and SIGTERM finish the step, save and end with 130; --resume ends in the same bits as a run
# that nobody disturbed.
source "$(dirname "$0")/support/lib.sh"
write_recipe small.yaml
epochs=40
"$soma" train small.yaml -e $epochs -o straight -q >/dev/null || fail "the undisturbed run"

# Waits until the run has written its first checkpoint, then sends the signal.
disturb() { # SIGNAL FOLDER
    local signal=$1 folder=$2 process code
    # A background job of a script ignores SIGINT; `env --default-signal` gives it back.
    env --default-signal=INT "$soma" train small.yaml -e $epochs -s train.checkpoint_steps=1 \
        -o "$folder" --resume --json >out.json 2>err.txt &
    process=$!
    for _ in $(seq 1 500); do
        [ -e "$folder/last.checkpoint" ] && break
        sleep 0.01
    done
    kill -"$signal" $process 2>/dev/null
    wait $process
    code=$?
    checks=$((checks + 1))
    if [ $code = 0 ]; then
        echo "the run was over before SIG$signal"
    elif [ $code != 130 ]; then
        fail "exit code $code after SIG$signal"
        cat err.txt
    else
        check "the message does not name --resume" grep -q -- "--resume goes on" err.txt
        check "the last line is not stopped" grep -q '^{"event":"stopped"' <<<"$(tail -n 1 out.json)"
        check "a model was saved although the training is not over" test ! -e "$folder/model.safetensors"
        stopped=$((stopped + 1))
    fi
}

stopped=0
for signal in INT TERM; do
    rm -rf run
    disturb $signal run
    expect 0 "test: accuracy" "$soma" train small.yaml -e $epochs -o run --resume -q
    check "resumed after SIG$signal: other bits" cmp straight/model.safetensors run/model.safetensors
    check "the history is not whole" test "$(wc -l <run/history.jsonl)" = $epochs
done
check "no run was stopped at all" test $stopped -gt 0

# A run that is over stays what it is.
expect 0 "test: accuracy" "$soma" train small.yaml -e $epochs -o straight --resume -q
check "resuming a finished run changed it" cmp straight/model.safetensors run/model.safetensors
finish
