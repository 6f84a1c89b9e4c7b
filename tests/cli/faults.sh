# Folders that cannot be written to, and a disk that is full: told at once, and nothing is damaged.
source "$(dirname "$0")/support/lib.sh"
write_recipe small.yaml

# A file in place of a folder, and a file system where nobody can make one.
echo precious >file
expect 4 "file" "$soma" train small.yaml -o file
expect 4 "file" "$soma" train small.yaml -o file/below
check "the file was touched" grep -qx precious file
expect 4 "/proc/no-such-folder" "$soma" train small.yaml -o /proc/no-such-folder
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod 555 locked
    expect 4 "locked" "$soma" train small.yaml -o locked
    expect 4 "locked" "$soma" train small.yaml -o locked/below
fi
expect 4 "plan.dot" "$soma" profile iris --runs 1 --dot missing-folder/plan.dot

# The disk is full: on a small file system where we may mount one, else by a limit on file sizes.
# Room for the first two epochs, none for more.
"$soma" train small.yaml -o straight -q >/dev/null
disk=$work/disk
mkdir "$disk"
if mount -t tmpfs -o size=2m none "$disk" 2>/dev/null; then
    echo "on a tmpfs of 2 MiB"
    trap 'cd /; umount "$disk"; rm -rf "$work"' EXIT
    fill() { dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null; }
    full() { "$@"; }
    unfill() { rm "$disk/filler"; }
else
    echo "by a limit on file sizes (no right to mount a file system)"
    fill() { :; }
    unfill() { :; }
    full() { bash -c 'trap "" XFSZ; ulimit -f 8; "$@"' - "$@"; }
fi
expect 0 "test: accuracy" "$soma" train small.yaml -e 2 -o "$disk/run" -q
for file in last.checkpoint best.safetensors model.safetensors; do cp "$disk/run/$file" "$file"; done
fill
expect 4 "cannot write" full "$soma" train small.yaml -o "$disk/run" --resume
expect 4 "cannot write" full "$soma" train small.yaml -e 2 -o "$disk/other"
for file in last.checkpoint best.safetensors model.safetensors; do
    check "$file was damaged" cmp "$file" "$disk/run/$file"
done
check "half a file was left" test -z "$(ls "$disk/run" | grep tmp)"
expect 0 "accuracy" "$soma" eval "$disk/run/model.safetensors" digits -q
unfill
expect 0 "test: accuracy" "$soma" train small.yaml -o "$disk/run" --resume -q
check "the run went on to other bits" cmp straight/model.safetensors "$disk/run/model.safetensors"
finish
