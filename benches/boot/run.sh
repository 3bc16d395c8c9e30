#!/bin/bash
# How long the boot takes from exec of init to exec of the real init, as Markdown for docs/results/: with 1 to 500 layers of squashfs and
# of EROFS, on this machine's kernel in private namespaces; under dm-verity, in a virtual machine; and against other initramfs
# generators. Numbers are compared with the goals and nothing fails for being slow; a contestant that does not arrive does.
# On this machine the line that each contestant says goes to a pseudoterminal: the emulated serial port of a cloud machine takes 0.4 to 2.7 ms for
# it, whoever writes, and so decided who was faster.
# With --busy one process a processor calculates beside the contestants on this machine: a real boot is not alone either.
# usage: benches/boot/run.sh [--busy] OUT [ROUNDS [host|guest|peers|sizes]...]  (root; OUT is where make puts init, mkinitramfs and kernels/)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
busy=
if [ "${1:-}" = --busy ]; then busy=--busy; shift; fi
out=$(cd "${1:?usage: run.sh [--busy] OUT [ROUNDS [host|guest|peers|sizes]...]}" && pwd)
rounds=${2:-21}
parts=${*:3}
: "${parts:=sizes host guest peers}"
caches=${LAMINA_CACHE:-$HOME/.cache/lamina}
cache=$caches/boot-bench
[ "$(id -u)" = 0 ] || { echo "run.sh: mounting needs root: run it with sudo" >&2; exit 1; }
for tool in musl-gcc mksquashfs mkfs.erofs veritysetup mmdebstrap qemu-system-x86_64 cpio modprobe losetup pivot_root; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing: run make deps-test" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"; [ -e "$cache" ] && chown -R --reference="$caches" "$cache"' EXIT
mkdir -p "$cache"
images=$("$here/images-make" "$cache")
"$here/stage-make" "$out/init" "$work/stage"
"$here/static-c" "$here/contest.c" "$work/contest"
status=0

# At least 3 rounds, so that there is a median.
share() { echo $((rounds * $1 / 100 > 3 ? rounds * $1 / 100 : 3)); }

facts() {
    echo "# The boot, measured on $(date -I) at commit $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)"
    echo
    echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r)," \
        "load $(cut -d' ' -f1-3 /proc/loadavg) at the begin. Medians, in brackets the middle half of the runs. Contestants take turns, in another order each round."
    echo "$(mksquashfs -version | head -n 1); $(mkfs.erofs 2>/dev/null | head -n 1); images of 60 kB, in the page cache."
}

sizes() {
    local bytes
    echo
    echo "## Sizes"
    echo
    echo "| what | bytes | of the goal |"
    echo "|---|---|---|"
    bytes=$(stat -c %s "$out/init")
    echo "| init | $bytes | $(judge "$bytes" 1415577) (1.35 MiB) |"
    # A kernel in whose list of built-in parts everything stands leaves nothing to pack.
    mkdir -p "$work/kernel/lib/modules/6.1.0"
    dpkg-deb -c "$(readlink -f "$out/kernels/6.1.deb")" | grep -o 'kernel/.*[.]ko$' >"$work/kernel/lib/modules/6.1.0/modules.builtin"
    : >"$work/kernel/lib/modules/6.1.0/modules.dep"
    "$out/mkinitramfs" --kernel "$work/kernel" --init "$out/init" --output "$work/bare.img" >/dev/null 2>&1
    bytes=$(stat -c %s "$work/bare.img")
    echo "| an initramfs without modules | $bytes | $(judge "$bytes" 716800) (700 KiB) |"
}
judge() { awk -v value="$1" -v goal="$2" 'BEGIN { printf "%.2f %s", value / goal, value < goal ? "met" : "**missed**" }'; }

# The C program with one thread and with several: the faster is the yardstick. The shell way takes seconds where the others take milliseconds, and needs fewer runs to tell.
plan() { # VERIFY
    local kind
    for kind in squashfs erofs; do
        echo "$kind $1 1 $(share 160) init c c-2 c-4 shell:$(share 40)"
        echo "$kind $1 20 $(share 160) init c c-2 c-4 shell:$(share 40)"
        echo "$kind $1 100 $(share 80) init c c-2 c-4 shell:5"
        echo "$kind $1 500 $(share 60) init c c-2 c-4 shell:3"
    done
}
# In the emulated machine all is ten times slower, and veritysetup 500 times in a row takes minutes: not run.
plan_of_guest() {
    local kind
    for kind in squashfs erofs; do
        echo "$kind none 20 $(share 20) init c c-2"
        echo "$kind verity 1 $(share 30) init c c-2 c-4 shell:3"
        echo "$kind verity 20 $(share 30) init c c-2 c-4 shell:3"
        echo "$kind verity 100 $(share 15) init c c-2 shell:1"
        echo "$kind verity 500 $(share 10) init c c-2"
    done
}

table() { # KIND-OF-TABLE FILE [GOAL]
    awk -v table="$1" -v goal="${3:-1.10}" -f "$here/table.awk" "$2"
    if grep -q failed "$2"; then status=1; fi
}

host() {
    echo
    echo "## On this machine's kernel: Linux $(uname -r)${busy:+, with other work on all processors}"
    echo
    plan none | while read -r kind verify layers rest; do
        # Word by word: rounds and contestants.
        "$work/contest" --own-console $busy "$work/stage" "$images" "$kind" "$verify" "$layers" $rest | sed "s/^/$kind $verify $layers /"
    done >"$work/host"
    table contest "$work/host" ${busy:+1.25}
}

guest() {
    echo
    echo "## In a virtual machine: QEMU without KVM, 2 processors, Debian's Linux $(dpkg-deb -f "$(readlink -f "$out/kernels/6.12.deb")" Version)"
    echo
    echo "dm-verity with error correction over loop devices, all in one boot; compare columns, not machines."
    echo
    plan_of_guest | "$here/guest" "$(readlink -f "$out/kernels/6.12.deb")" "$work/stage" "$images" "$work/contest" >"$work/guest" || status=1
    table contest "$work/guest"
}

peers() {
    echo
    echo "## From /init to the real init in a virtual machine, one squashfs of a small Debian"
    echo
    "$here/peers" "$out" "$cache" "$(share 25)" >"$work/peers" || status=1
    echo "QEMU without KVM, 2 processors, Debian's Linux $(dpkg-deb -f "$(readlink -f "$out/kernels/6.1.deb")" Version);" \
        "$(paste -sd, "$cache"/peers-*/versions | sed 's/,/, /g'). The kernel's log is the clock; nobody verifies the image. Ours leaves the modules that nothing asked for" \
        "to a process that goes on beside the real init; the others load what they load before."
    echo
    table peers "$work/peers"
}

facts
for part in $parts; do
    case $part in
    host | guest | peers | sizes) "$part" ;;
    *) echo "run.sh: $part is none of host, guest, peers, sizes" >&2; exit 1 ;;
    esac
done
echo
echo "Load at the end: $(cut -d' ' -f1-3 /proc/loadavg)."
exit "$status"
