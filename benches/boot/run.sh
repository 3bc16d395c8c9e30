#!/bin/bash
# How long from exec of init to exec of the real init, with 20 squashfs images, on this machine's kernel, in private mount and
# pid namespaces: init against a C program with the same system calls, and against the shell way.
# usage: benches/boot/run.sh INIT [ROUNDS]      (root; INIT is the static binary that `make init` makes)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
init=${1:?usage: run.sh INIT [ROUNDS]}
rounds=${2:-21}
layers=20
[ "$(id -u)" = 0 ] || { echo "run.sh: mounting needs root: run it with sudo" >&2; exit 1; }
for tool in musl-gcc mksquashfs unshare losetup pivot_root; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing: apt-get install musl-tools squashfs-tools util-linux" >&2; exit 1; }
done
work=$(mktemp -d)
# The shell way has no AUTOCLEAR in one step with the attachment, so what it attached is detached after each round.
detach() {
    losetup --list --noheadings --output NAME,BACK-FILE | awk '$2 ~ "^/lamina/images/[0-9]+[.]sqfs" { print $1 }' |
        xargs --no-run-if-empty losetup --detach
}
trap 'detach; rm -rf "$work"' EXIT

# Of glibc's headers, musl-gcc may see the kernel's only.
mkdir "$work/include"
ln -s /usr/include/linux /usr/include/asm-generic "/usr/include/$(uname -m)-linux-gnu/asm" "$work/include/"
for program in launch arrive baseline; do
    musl-gcc -static -O2 -Wall -I"$work/include" -o "$work/$program" "$here/$program.c"
done

# One stage of files for all three; the profile names the same images by digest that the others take by number.
stage=$work/stage
mkdir -p "$stage"/{bin,sbin,dev,proc,sys,run,newroot,lamina/images,lamina/profiles/bench}
profile=$stage/lamina/profiles/bench/1.kdl
echo 'profile "bench" format=1 {' >"$profile"
for number in $(seq "$layers"); do
    tree=$work/tree-$number
    mkdir -p "$tree/layer"
    head -c 60000 /dev/urandom >"$tree/layer/$number"
    if [ "$number" = 1 ]; then
        mkdir -p "$tree"/{bin,sbin,dev,proc,sys,run}
        cp "$work/arrive" "$tree/sbin/init"
    fi
    image=$stage/lamina/images/$number.sqfs
    mksquashfs "$tree" "$image" -comp zstd -all-root -quiet -no-progress >/dev/null
    hex=$(sha256sum "$image" | cut -d' ' -f1)
    ln "$image" "$stage/lamina/images/$hex.sqfs"
    echo "    image \"layer-$number\" version=\"1\" digest=\"sha256:$hex\" size=$(stat -c %s "$image")" >>"$profile"
done
printf '    root writable="tmpfs" size="50%%"\n    verify "none"\n    init "/sbin/init"\n}\n' >>"$profile"
cp "$init" "$stage/init"
cp "$work/launch" "$work/baseline" "$here/shell-init" "$stage/"
chmod +x "$stage/shell-init"
echo "quiet lamina.store=initramfs lamina.profile=bench" >"$stage/cmdline"
for tool in sh mount losetup mkdir pivot_root; do
    path=$(command -v "$tool")
    cp -L "$path" "$stage/bin/$tool"
    ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$stage/$(dirname "$library")"
        cp -Ln "$library" "$stage/$library"
    done
done

# One run: a fresh tmpfs as the root, the time from exec to arrival in microseconds.
cat >"$work/once" <<'ONCE'
set -eu
stage=$1 root=$2
shift 2
mount -t tmpfs none "$root"
cp -a "$stage/." "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/cmdline" "$root/proc/cmdline"
exec "$root/launch" "$root" "$@"
ONCE
mkdir "$work/root"
once() {
    PATH=/bin:/sbin:/usr/bin:/usr/sbin unshare --mount --pid --fork --propagation private \
        sh "$work/once" "$stage" "$work/root" "$@" </dev/null 2>"$work/errors" >"$work/output" || true
    read -r begin end state <"$work/output" || true
    if [ "${state:-none}" != complete ]; then
        echo "run.sh: $1 did not arrive:" >&2
        cat "$work/output" "$work/errors" >&2
        exit 1
    fi
    echo $(((end - begin) / 1000))
}
# In turn and in another order each round, so that noise falls on all alike: the kernel takes the mounts and loop devices of one
# apart while the next one runs already, and the short rest does not always last until that is done.
for round in $(seq "$rounds"); do
    for turn in 1 2 3; do
        sleep 0.2
        case $(((round + turn) % 3)) in
        0) once /init >>"$work/ours" ;;
        1) once /baseline "$layers" >>"$work/c" ;;
        2) once /shell-init "$layers" >>"$work/shell"; detach ;;
        esac
    done
done
median() { sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"; }
ours=$(median "$work/ours") c=$(median "$work/c") shell=$(median "$work/shell")
echo "from exec of init to exec of the real init, $layers squashfs images, median of $rounds interleaved rounds:"
echo "  init      $ours us"
echo "  C program $c us    init / C     = $(awk "BEGIN { printf \"%.2f\", $ours / $c }")  (goal: at most 1.30)"
echo "  shell way $shell us    shell / init = $(awk "BEGIN { printf \"%.1f\", $shell / $ours }")  (goal: at least 5)"
