# Sourced by the shell tests, which get the program's path as $1. Each test works in a folder of its
# own, which is removed at the end; `finish` says how many checks there were and which failed.
set -u
soma=$(realpath "$1")
build=$(dirname "$soma")
tests=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
source_folder=$(realpath "$tests/../..")
work=$(mktemp -d)
trap 'cd /; rm -rf "$work"' EXIT
cd "$work" || exit 1
checks=0
failures=0
output=""

fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

# expect CODE TEXT COMMAND…: its exit code is CODE and its output (both streams) contains TEXT.
expect() {
    local code=$1 text=$2 got
    shift 2
    checks=$((checks + 1))
    output=$("$@" 2>&1)
    got=$?
    if [ "$got" != "$code" ]; then
        fail "exit code $got instead of $code: $*"
        printf '%s\n' "$output" | tail -5
    elif [[ "$output" != *"$text"* ]]; then
        fail "no '$text' in what this printed: $*"
        printf '%s\n' "$output" | tail -5
    fi
}

# check TEXT COMMAND…: the command succeeds; TEXT says what is wrong otherwise.
check() {
    local text=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$text"
}

# expect_json COMMAND…: every line is a JSON object, and the last says that all is done.
expect_json() {
    checks=$((checks + 1))
    if ! "$@" >json.out 2>json.err; then
        fail "exit code not 0: $*"
        cat json.err
        return
    fi
    tail -n 1 json.out | grep -q '^{"event":"done"' || fail "the last line is not done: $*"
    if command -v python3 >/dev/null; then
        python3 -c 'import json,sys
for line in sys.stdin: json.loads(line)["event"]' <json.out || fail "not JSON lines: $*"
    fi
}

skip() {
    echo "skipped: $*"
    exit 77
}

finish() {
    echo "$checks checks, $failures failed"
    [ "$failures" = 0 ]
    exit
}

# A small training with a constant rate, so that its first epochs are those of any longer one.
write_recipe() {
    cat >"$1" <<'RECIPE'
name: small
seed: 3
data:
  source: digits
  scale: unit
  validation: 0.1
model:
  - flatten
  - dense: {units: 24, activation: relu}
  - dropout: 0.1
  - dense: 10
train:
  epochs: 4
  batch: 64
  optimizer: {kind: adam, rate: 0.003}
RECIPE
}
