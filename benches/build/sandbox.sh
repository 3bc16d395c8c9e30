#!/bin/bash
# Wall time of a sandbox for a step that does nothing, beside `bwrap --unshare-all` with the same root, the same shell and the same folders,
# in turns. Goal: at most 1.5 times, for each who may build: root, and an ordinary user (root measures both).
#
# What is measured begins with the start of a stage and ends with its end: what `lamina build` pays again for each package. Not in it:
# reading recipes and the store, unpacking and looking over layers, and the copy of the program in memory, which is made once a command.
# What the sandbox does besides what bwrap does here: an overlay with a top in memory in place of a read-only bind; a user of its own when root
# builds; a session keyring of its own; the parts of /proc that tell of the machine masked; /dev/shm; limits; four filters of system calls
# in each of two processes; the script of the step as a file; and its end comes after the last process and the last mount, where bwrap's
# comes when it has the status.
#
# LAMINA=FILE is the program, OTHER=FILE a second one (started in the same way), RUNS=NUMBER of each, SHELL_FILE=FILE the shell. Where root runs it,
# everything measured has a real-time priority, so that other work on the machine does not count; BUSY=1 leaves that out.
set -eu
cd "$(dirname "$0")/../.."
lamina=$(realpath "${LAMINA:-${LAMINA_OUT:-out}/lamina}")
runs=${RUNS:-50}
shell=${SHELL_FILE:-/bin/sh}
[ -x "$lamina" ] || { echo "$lamina is missing: run 'make build', or give LAMINA=FILE" >&2; exit 1; }
command -v bwrap > /dev/null || { echo "bwrap is missing: apt-get install bubblewrap" >&2; exit 1; }

# BUILD_USER of builder/src/sandbox/facts.rs: whom root's builds run as, and whose unpacked layers therefore are.
build_user=1879113728
nobody=65534
if [ -z "${ROW:-}" ] && [ "$(id -u)" = 0 ]; then
    status=0
    [ -n "${BUSY:-}" ] || chrt -f -p 20 $$ || echo "$0: without a real-time priority" >&2
    ROW=root "$0" || status=1
    # The program may lie where nobody may look.
    copies=$(mktemp -d)
    trap 'rm -rf "$copies"' EXIT
    chmod 711 "$copies"
    cp "$lamina" "$copies/lamina"
    [ -z "${OTHER:-}" ] || cp "$OTHER" "$copies/other"
    install -m 755 "$0" "$copies/sandbox.sh"
    LAMINA="$copies/lamina" OTHER="${OTHER:+$copies/other}" ROW="an ordinary user" \
        setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$copies/sandbox.sh" || status=1
    exit "$status"
fi
row=${ROW:-"an ordinary user"}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$work/mounts" "$work/out" "$work/build" "$tree"/{bin,build,dev,out,proc,run,tmp}
cp "$shell" "$tree/bin/sh"
ldd "$shell" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$tree$(dirname "$library")"
    cp "$library" "$tree$library"
done
[ "$(id -u)" != 0 ] || { chown -R "$build_user:$build_user" "$tree"; chmod 711 "$work"; }
cat > "$work/spec" << SPEC
{"layers": ["$tree"], "mounts": "$work/mounts", "environment": [["PATH", "/bin"]], "policy": "Step",
 "variation": {"other_order": false, "build_in_memory": false},
 "binds": [{"source": "$work/out", "target": "/out", "writable": true}, {"source": "$work/build", "target": "/build", "writable": true}],
 "steps": [{"name": "install", "work": {"Script": {"text": ":", "folder": "/build"}}}],
 "bounds": {"processes": 1000, "memory": 8589934592, "tmpfs": 1073741824}}
SPEC
# The stage wants to know that whoever started it lives: a pipe whose other end is open.
mkfifo "$work/lifeline"
exec 8<> "$work/lifeline"

stage() { "$1" sandbox-stage "$work/spec" 8 < /dev/null > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
sandbox() { stage "$lamina"; }
other() { stage "$OTHER"; }
peer() {
    bwrap --unshare-all --die-with-parent --new-session --clearenv --hostname lamina --ro-bind "$tree" / --proc /proc --dev /dev \
        --tmpfs /tmp --tmpfs /run --bind "$work/out" /out --bind "$work/build" /build --chdir /build /bin/sh -euc : < /dev/null
}
microseconds() {
    local begun=${EPOCHREALTIME/./}
    "$1"
    echo "$1 $((${EPOCHREALTIME/./} - begun))"
}

names=(sandbox peer)
[ -z "${OTHER:-}" ] || names+=(other)
for name in "${names[@]}"; do "$name"; done
for _ in $(seq "$runs"); do
    for name in "${names[@]}"; do microseconds "$name"; done
done | sort -k1,1 -k2n | awk -v row="$row" '
    { time[$1, ++count[$1]] = $2 / 1000 }
    function median(name) { return time[name, int((count[name] + 1) / 2)] }
    function tenth(name) { return time[name, int((count[name] + 9) / 10)] }
    function say(name, title) {
        printf "%s: median %.1f ms, %.2f times bwrap; tenth of a hundred %.1f, %.2f times; least %.1f\n", title, median(name),
            median(name) / median("peer"), tenth(name), tenth(name) / tenth("peer"), time[name, 1]
    }
    END {
        printf "an empty step for %s, %d runs of each in turns; goal: a median of at most 1.5 times bwrap\n", row, count["sandbox"]
        say("sandbox", "  lamina")
        if (count["other"]) say("other", "  the other lamina")
        say("peer", "  bwrap --unshare-all")
        exit median("sandbox") > 1.5 * median("peer")
    }'
