#!/bin/bash
# How long `lamina disk create` takes, as Markdown for docs/results/: with cold and warm caches, beside `dd` of the same bytes and, with --mkosi
# (root), beside mkosi making a disk of as many files. With --store GB a profile with images of so many random gigabytes is made first.
# usage: benches/disk/run.sh OUT [ROUNDS] [--store GB] [--mkosi]  (OUT is where make puts lamina, mkinitramfs and init)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:?usage: run.sh OUT [ROUNDS] [--store GB] [--mkosi]}" && pwd)
shift
rounds=5 gigabytes= mkosi=
case ${1:-} in [0-9]*) rounds=$1; shift ;; esac
while [ $# -gt 0 ]; do
    case $1 in
    --store) gigabytes=$2; shift 2 ;;
    --mkosi) mkosi=yes; shift ;;
    *) echo "run.sh: $1 is not one of --store, --mkosi" >&2; exit 2 ;;
    esac
done
export LAMINA_CACHE="${LAMINA_CACHE:-$HOME/.cache/lamina}"
export LAMINA_STORE="${LAMINA_STORE:-$LAMINA_CACHE/store}"
work=$(mktemp -d "${TMPDIR:-/tmp}/disk-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Prints seconds and the most memory in MiB of a command that must succeed.
measured() {
    python3 - "$@" <<'END'
import resource, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
seconds = time.monotonic() - begin
if done.returncode:
    sys.exit(f"{sys.argv[1:]}: {done.stderr.decode()}")
print(f"{seconds:.2f} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}")
END
}

# The median of ROUNDS runs, as a row of the table; the command writes $work/result.
row() { # NAME COMMAND...
    local name=$1 each=()
    shift
    for _ in $(seq "$rounds"); do
        rm -rf "$work/result"
        each+=("$(measured "$@")")
    done
    printf '%s\n' "${each[@]}" | sort -n | awk -v name="$name" '{ seconds[NR] = $1; if ($2 > most) most = $2 }
        END { printf "| %s | %s | %s to %s | %d |\n", name, seconds[int((NR + 1) / 2)], seconds[1], seconds[NR], most }'
}

disk=("$out/lamina" disk create "$work/result" --profile console --profile web --kernel "$("$out/lamina" kernel fetch 6.1-all)")
echo "# Making a disk, measured on $(date -I) at commit $(git -C "$here" rev-parse --short HEAD)"
echo
echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r)," \
    "load $(cut -d' ' -f1-3 /proc/loadavg) at the begin. Medians of $rounds runs; memory is that of the largest process."
echo
echo "| what | seconds | from, to | MiB |"
echo "|---|---|---|---|"
export LAMINA_CACHE=$work/cache
row "console and web, nothing made yet" sh -c 'rm -rf "$LAMINA_CACHE/made"; "$@"' sh "${disk[@]}"
row "console and web, kernel and initramfs kept (goal: 2 s)" "${disk[@]}"
image=$work/image.img
mv "$work/result" "$image"
row "the same, qcow2" "${disk[@]}" --format qcow2
row "dd of that image" dd if="$image" of="$work/result" bs=4M conv=fsync,sparse
files=$("$out/lamina" disk inspect "$image" --json | python3 -c 'import json, sys; it = json.load(sys.stdin); print(len(it["images"]) + len(it["generations"]) + len(it["boot_files"]) + len(it["entries"]) + 5)')

if [ -n "$gigabytes" ]; then
    export LAMINA_STORE=$work/store
    mkdir -p "$work/store/images" "$work/store/profiles/large" "$work/store/builds" "$work/store/sources" "$work/tree"
    lines=
    for number in $(seq "$gigabytes"); do
        head -c 1000000000 /dev/urandom >"$work/tree/large"
        made=$("$out/lamina" image create "$work/tree" -o "$work/one" --time 0 --json)
        field() { python3 -c 'import json, sys; print(eval("json.load(sys.stdin)" + sys.argv[1]))' "$1" <<<"$made"; }
        digest=$(field '["digest"]')
        mv "$work/one" "$work/store/images/${digest#sha256:}.sqfs"
        lines="$lines    image \"large$number\" version=\"1\" digest=\"$digest\" size=$(field '["size"]') root-hash=\"$(field '["verity"]["root_hash"]')\" salt=\"$(field '["verity"]["salt"]')\" data-blocks=$(field '["verity"]["data_blocks"]') fec-roots=2
"
    done
    printf 'profile "large" format=1 {\n%s    root writable="tmpfs"\n    verify "verity"\n    init "/init"\n}\n' "$lines" \
        >"$work/store/profiles/large/1.kdl"
    rounds=3
    row "a store of $gigabytes GB (goal: 1.5 times dd)" "$out/lamina" disk create "$work/result" --profile large
    mv "$work/result" "$image"
    row "dd of that image" dd if="$image" of="$work/result" bs=4M conv=fsync
fi

if [ -n "$mkosi" ]; then
    command -v mkosi >/dev/null || { echo "run.sh: mkosi is missing: install the Debian package mkosi" >&2; exit 1; }
    # It makes systems of a distribution alone: over a base that is there already it still calls apt, installs nothing, and writes the tree.
    mmdebstrap --quiet --variant=apt bookworm "$work/base"
    mkdir -p "$work/base/etc/kernel/install.d" "$work/tree/files"
    for number in $(seq "$files"); do head -c 300000 /dev/urandom >"$work/tree/files/$number"; done
    row "$(mkosi --version), $files files of 300 kB over a base, ext4, not bootable" \
        mkosi --force --distribution debian --release bookworm --base-image "$work/base" --extra-tree "$work/tree" --with-docs=yes \
        --clean-package-metadata=no --format gpt_ext4 --bootable=no --root-size 1G --output "$work/result" build
fi
