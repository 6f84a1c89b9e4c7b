# soma data fetch against a server of our own: checksums, resuming, unpacking, the cache.
source "$(dirname "$0")/support/lib.sh"
command -v python3 >/dev/null || skip "python3 is not there to serve files"
real=${SOMA_DATA:-/nowhere}/fashion-mnist
unset SOMA_DATA
export XDG_CACHE_HOME=$work/cache no_proxy=127.0.0.1

servers=""
serve() { # FOLDER LOG [mode]: sets url
    python3 "$tests/support/server.py" "$@" >port &
    servers="$servers $!"
    for _ in $(seq 100); do
        [ -s port ] && break
        sleep 0.05
    done
    url=http://127.0.0.1:$(cat port)
    rm port
}
trap 'kill $servers 2>/dev/null; cd /; rm -rf "$work"' EXIT

expect 3 "these can: mnist, fashion-mnist, cifar10" "$soma" data fetch iris

# Files of the right length with other contents, of another length, and none at all.
mkdir wrong
head -c 28881 /dev/zero >wrong/train-labels-idx1-ubyte.gz
head -c 9912422 /dev/zero >wrong/train-images-idx3-ubyte.gz
serve wrong wrong.log
out=$("$soma" data fetch mnist --url "$url" 2>&1)
[[ "$out" != *libcurl* ]] || skip "built without libcurl, or it is not installed"
expect 3 "other contents than expected" "$soma" data fetch mnist --url "$url"
check "what was wrong is kept" [ ! -e cache/soma/mnist/train-images-idx3-ubyte.gz.part ]
head -c 9912423 /dev/zero >wrong/train-images-idx3-ubyte.gz
expect 4 "train-images-idx3-ubyte.gz: " "$soma" data fetch mnist --url "$url"
rm wrong/train-images-idx3-ubyte.gz
expect 4 "404" "$soma" data fetch mnist --url "$url"
expect 4 "file:" "$soma" data fetch mnist --url "file://$work/wrong"
check "a file was made" [ ! -e cache/soma/mnist/train-images-idx3-ubyte.gz ]

if [ ! -e "$real/train-images-idx3-ubyte.gz" ]; then
    echo "partly skipped: no fashion-mnist under SOMA_DATA"
    finish
fi
# Broken off, then gone on with at the byte where it stopped.
serve "$real" log cut 20000
expect 4 "train-images-idx3-ubyte.gz" "$soma" data fetch fashion-mnist --url "$url"
check "no part was kept" [ "$(stat -c %s cache/soma/fashion-mnist/train-images-idx3-ubyte.gz.part)" = 20000 ]
expect 4 "train-labels-idx1-ubyte.gz" "$soma" data fetch fashion-mnist --url "$url"
check "not resumed" grep -q "train-images-idx3-ubyte.gz 20000" log
check "not named when complete" [ -e cache/soma/fashion-mnist/train-images-idx3-ubyte.gz ]
# A server that cannot resume sends all of it.
serve "$real" whole.log whole
expect 0 "complete in $work/cache/soma/fashion-mnist" "$soma" data fetch fashion-mnist --url "$url"
check "fetched twice" [ "$(grep -c train-images whole.log)" = 0 ]
check "parts are left" [ -z "$(ls cache/soma/fashion-mnist/*.part 2>/dev/null)" ]
check "not what was served" cmp -s cache/soma/fashion-mnist/t10k-images-idx3-ubyte.gz "$real/t10k-images-idx3-ubyte.gz"
lines=$(wc -l <whole.log)
expect_json "$soma" data fetch fashion-mnist --url "$url" --json
check "asked again for what is there" [ "$(wc -l <whole.log)" = "$lines" ]
expect 0 "Ankle boot 6000" "$soma" data fashion-mnist
expect 0 "complete in here/fashion-mnist" "$soma" data fetch fashion-mnist --url "$url" --data here
finish
