#!/bin/bash
# How long making an initramfs takes and how large it is, beside dracut and initramfs-tools on the same kernel, and how long writing
# the archive takes beside 3cpio; as Markdown for docs/results/. Contestants take turns. Nothing fails for being slow.
# usage: benches/initramfs/run.sh OUT [ROUNDS]  (root; OUT is where make puts mkinitramfs, init and kernels/)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "run.sh: a Debian for the others needs root: run it with sudo" >&2; exit 1; }
[ -n "${LAMINA_NAMESPACE:-}" ] || LAMINA_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
out=$(cd "${1:?usage: run.sh OUT [ROUNDS]}" && pwd)
caches=${LAMINA_CACHE:-$HOME/.cache/lamina}
for tool in mmdebstrap zstd python3; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing: run make deps-test" >&2; exit 1; }
done
# What is fetched and built belongs to whoever the cache does: `make bench` of an ordinary user runs this with sudo.
mkdir -p "$caches"
ids=$(stat -c '--reuid=%u --regid=%g' "$caches")
home=$(getent passwd "$(stat -c %u "$caches")" | cut -d: -f6) || home=/nonexistent
# shellcheck disable=SC2086
as_owner() { setpriv $ids --clear-groups env HOME="$home" PATH="$home/.cargo/bin:$PATH" LAMINA_CACHE="$caches" "$@"; }
deb=$(readlink -f "$(as_owner "$out/lamina" kernel fetch 6.1-all)")
as_owner mkdir -p "$caches/initramfs-bench"
root=$("$here/root-make" "$deb" "$caches/initramfs-bench")
# Built once, at the version that is named here.
cpio3=$caches/initramfs-bench/3cpio-0.14.0
[ -x "$cpio3/bin/3cpio" ] || as_owner "$here/../../.ci/cargo" install --quiet --locked --root "$cpio3" --version 0.14.0 threecpio >&2
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
work=$(mktemp -d)
trap 'umount --lazy "$root/proc" "$root/sys" "$root/dev"; rm -rf --one-file-system "$work"' EXIT

echo "# Making an initramfs, measured on $(date -I) at commit $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg) at the begin." \
    "Debian's kernel $(dpkg-deb -f "$deb" Version) for all hardware; $(chroot "$root" dpkg-query -W -f '${Package} ${Version}, ' dracut-core initramfs-tools-core)3cpio 0.14.0."
python3 "$here/compare.py" "$out" "$root" "$cpio3/bin/3cpio" "$work" "${2:-5}"
