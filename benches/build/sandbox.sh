#!/bin/bash
# Wall time of a sandbox for a step that does nothing, beside `bwrap --unshare-all` with the same root and the same shell, in turns.
# Goal: at most 1.5 times. LAMINA=FILE is the program, OTHER=FILE a second one to compare with (of a version whose specification of a
# sandbox it is given in OTHER_SPEC), TREE=FOLDER the root (default: the newest layer with a shell below trees/ of the store).
set -eu
cd "$(dirname "$0")/../.."
lamina=$(realpath "${LAMINA:-${LAMINA_OUT:-out}/lamina}")
runs=${RUNS:-50}
store=${LAMINA_STORE:-${LAMINA_CACHE:-$HOME/.cache/lamina}/store}
[ -x "$lamina" ] || { echo "$lamina is missing: run 'make build', or give LAMINA=FILE" >&2; exit 1; }
command -v bwrap > /dev/null || { echo "bwrap is missing: apt-get install bubblewrap" >&2; exit 1; }
tree=${TREE:-}
for found in "$store"/trees/*/root "$store"/trees/*; do
    [ -n "$tree" ] || [ ! -x "$found/usr/bin/sh" ] || tree=$found
done
[ -n "$tree" ] || { echo "no unpacked layer with a shell: build any package first, or give TREE=FOLDER" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/mounts" "$work/out" "$work/build"
cat > "$work/spec" << SPEC
{"layers": ["$tree"], "mounts": "$work/mounts", "environment": [["PATH", "/usr/bin"]], "policy": "Step",
 "variation": {"other_order": false, "build_in_memory": false},
 "binds": [{"source": "$work/out", "target": "/out", "writable": true}, {"source": "$work/build", "target": "/build", "writable": true}],
 "steps": [{"name": "install", "work": {"Script": {"text": ":", "folder": "/build"}}}],
 "bounds": {"processes": 1000, "memory": 8589934592, "tmpfs": 1073741824}}
SPEC
# The stage wants to know that whoever started it lives: a pipe whose other end is open.
mkfifo "$work/lifeline"
exec 8<> "$work/lifeline"

sandbox() { "$lamina" sandbox-stage "$work/spec" <&8 > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
other() { "$OTHER" sandbox-stage outer "$OTHER_SPEC" <&8 > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
peer() {
    bwrap --unshare-all --die-with-parent --new-session --clearenv --hostname lamina --ro-bind "$tree" / --proc /proc --dev /dev \
        --tmpfs /tmp --tmpfs /run --bind "$work/build" /root --chdir /root /bin/sh -euc : < /dev/null
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
done | sort -k1,1 -k2n | awk '
    { time[$1, ++count[$1]] = $2 }
    function median(name) { return time[name, int((count[name] + 1) / 2)] }
    END {
        printf "empty step, %d runs, medians: sandbox %.1f ms, bwrap --unshare-all %.1f ms, ratio %.2f (goal: at most 1.5)\n",
            count["sandbox"], median("sandbox") / 1000, median("peer") / 1000, median("sandbox") / median("peer")
        if (count["other"])
            printf "the other: %.1f ms, %.2f of bwrap; least: sandbox %.1f, bwrap %.1f, other %.1f ms\n", median("other") / 1000,
                median("other") / median("peer"), time["sandbox", 1] / 1000, time["peer", 1] / 1000, time["other", 1] / 1000
        exit median("sandbox") > 1.5 * median("peer")
    }'
