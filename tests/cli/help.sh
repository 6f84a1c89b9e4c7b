# Help, man page, completion, and wrong command lines.
source "$(dirname "$0")/support/lib.sh"

expect 2 "usage: soma" "$soma"
expect 0 "commands:" "$soma" --help
expect 0 "commands:" "$soma" help
expect 0 "soma " "$soma" --version
for command in train check eval predict summary profile ops data tokenize bench completion man; do
    expect 0 "examples:" "$soma" "$command" --help
    check "no usage line: $command" grep -q "usage: soma $command" <<<"$output"
    expect 0 "usage: soma $command" "$soma" help "$command"
    check "not in the list: $command" grep -q "^  $command " <<<"$("$soma" --help)"
    check "not in the man page: $command" grep -q "^.SS soma $command" <<<"$("$soma" man)"
    check "not in the completion: $command" grep -q " $command)" <<<"$("$soma" completion bash)"
done

expect 2 "did you mean 'train'" "$soma" trian
expect 2 "did you mean '--epochs'" "$soma" train iris --epoch 3
expect 2 "whole number of at least 1" "$soma" train iris --epochs 0
expect 2 "whole number of at least 1" "$soma" train iris --epochs many
expect 2 "needs a value" "$soma" train iris --epochs
expect 2 "takes no value" "$soma" train iris --json=yes
expect 2 "usage: soma eval" "$soma" eval only-one
expect 2 "contradict" "$soma" train iris --resume --force
expect 2 "bash" "$soma" completion fish
expect 3 "instruction set" "$soma" train iris --isa quantum
check "a rejected command line made files" test -z "$(ls -A)"

"$soma" completion bash >completion.bash
check "the completion is not bash" bash -n completion.bash
candidates=$(bash -c 'source completion.bash; COMP_WORDS=(soma tra); COMP_CWORD=1; _soma; echo "${COMPREPLY[*]}"')
check "completes tra with '$candidates'" test "$candidates" = train
candidates=$(bash -c 'source completion.bash; COMP_WORDS=(soma train --dry); COMP_CWORD=2; _soma; echo "${COMPREPLY[*]}"')
check "completes --dry with '$candidates'" test "$candidates" = --dry-run
if command -v man >/dev/null && man --version >/dev/null 2>&1; then
    "$soma" man >soma.1
    expect 0 "soma train" env LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l soma.1
    check "troff warns" test "$(grep -c warning <<<"$output")" = 0
fi

expect 4 "standard output failed" bash -c '"$1" ops >/dev/full' - "$soma"
finish
