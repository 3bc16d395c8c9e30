#!/bin/bash
# How long it takes to look at a medium with many generations, as Markdown for docs/results/: `lamina system list`, `diff`, `gc --dry-run` and
# `lamina store gc --dry-run` with 2,000 images and 200 generations of ten profiles, beside `find` and `stat` over the same files. The medium is a
# disk by `lamina disk create`, its partitions taken out into folders.
# usage: benches/disk/generations.sh OUT [ROUNDS]  (OUT is where make puts lamina, mkinitramfs and init)
set -euo pipefail
out=$(cd "${1:?usage: generations.sh OUT [ROUNDS]}" && pwd)
rounds=${2:-11}
export LAMINA_CACHE="${LAMINA_CACHE:-$HOME/.cache/lamina}"
kernel=$("$out/lamina" kernel fetch 6.1)
work=$(mktemp -d "${TMPDIR:-/tmp}/generations-bench.XXXXXX")
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
export LAMINA_STORE=$work/offered
mkdir -p "$work/tree"
echo x >"$work/tree/file"
"$out/lamina" image create "$work/tree" -o "$work/image" --time 0 >/dev/null

# Each profile has 200 images; each of its generations has 150 of them, five others than the one before.
python3 - "$work/image" "$LAMINA_STORE" <<'END'
import hashlib, os, sys
image, store = open(sys.argv[1], "rb").read(), sys.argv[2]
for folder in ("images", "profiles", "builds", "sources"):
    os.makedirs(f"{store}/{folder}")
for profile in range(10):
    name, lines = f"bench{profile}", []
    for number in range(200):
        # What lies behind a squashfs is not looked at: images that differ and cost nothing to make.
        bytes = image + f"{name} {number}".encode().ljust(4096, b"\0")
        digest = hashlib.sha256(bytes).hexdigest()
        open(f"{store}/images/{digest}.sqfs", "wb").write(bytes)
        tree = f'root-hash="{digest}" salt="{digest}" data-blocks=1 fec-roots=2'
        lines.append(f'    image "p{number}" version="1" id="{digest}" digest="sha256:{digest}" size={len(bytes)} {tree}\n')
    os.makedirs(f"{store}/profiles/{name}")
    for generation in range(1, 21):
        chosen = "".join(lines[(generation * 5 + step) % 200] for step in range(150))
        text = f'profile "{name}" format=1 {{\n{chosen}    root writable="tmpfs" size="50%"\n    verify "verity"\n    init "/init"\n}}\n'
        open(f"{store}/profiles/{name}/{generation}.kdl", "w").write(text)
END
profiles=()
for number in $(seq 0 9); do profiles+=(--profile "bench$number"); done
"$out/lamina" disk create "$work/disk.img" "${profiles[@]}" --generations 20 --kernel "$kernel" >/dev/null 2>"$work/said" ||
    { cat "$work/said" >&2; exit 1; }

# The partitions as folders: an ordinary user can mount nothing.
part() { # NAME
    "$out/lamina" disk inspect "$work/disk.img" --json | python3 -c '
import json, sys
it = next(it for it in json.load(sys.stdin)["partitions"] if it["name"] == sys.argv[1])
print(it["start"], it["size"])' "$1"
}
take() { # NAME
    local start size
    read -r start size <<<"$(part "lamina-$1")"
    dd if="$work/disk.img" of="$work/$1.part" bs=1M iflag=skip_bytes,count_bytes skip="$start" count="$size" conv=sparse status=none
    mkdir "$work/$1"
}
take esp
mcopy -sni "$work/esp.part" ::/ "$work/esp"
take store
PATH=$PATH:/usr/sbin debugfs -R "rdump /lamina $work/store" "$work/store.part" 2>/dev/null

# The median of ROUNDS runs, as a row of the table.
row() { # NAME COMMAND...
    local name=$1
    shift
    python3 - "$name" "$rounds" "$@" <<'END'
import resource, subprocess, sys, time
name, rounds, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
seconds = []
for _ in range(rounds):
    begin = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds.append(1000 * (time.monotonic() - begin))
    if done.returncode:
        sys.exit(f"{command}: {done.stderr.decode()}")
seconds.sort()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(f"| {name} | {seconds[len(seconds) // 2]:.0f} | {seconds[0]:.0f} to {seconds[-1]:.0f} | {peak} |")
END
}

echo "# Looking at 200 generations, measured on $(date -I) at commit $(git -C "$(dirname "$0")" rev-parse --short HEAD)"
echo
echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r)," \
    "load $(cut -d' ' -f1-3 /proc/loadavg) at the begin. $(find "$work/store/lamina/images" -type f | wc -l) images," \
    "$(find "$work/store/lamina/profiles" -name '*.kdl' | wc -l) generations, $(find "$work/esp/loader/entries" -name '*.conf' | wc -l) entries. Medians of $rounds runs."
echo
echo "| what (goal: 200 ms) | ms | from, to | MiB |"
echo "|---|---|---|---|"
medium=(--medium "$work/store" --esp "$work/esp")
row "system list" "$out/lamina" system list "${medium[@]}"
row "system diff bench0/1 bench0/20" "$out/lamina" system diff bench0/1 bench0/20 "${medium[@]}"
row "system gc --dry-run" "$out/lamina" system gc --dry-run "${medium[@]}"
row "store gc --dry-run" "$out/lamina" store gc --dry-run
row "system list --disk, not mounted" "$out/lamina" system list --disk "$work/disk.img"
row "for comparison: find -size of all files" find "$work/store" "$work/esp" -type f -size +1
