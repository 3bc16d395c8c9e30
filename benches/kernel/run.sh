#!/bin/bash
# How long kernels take from the start of QEMU to /init, as Markdown for docs/results/: Debian's cloud kernels and our own (`make kernel`) on q35, and our
# own on microvm, in turns, with one and the same initramfs. Nothing fails for being slow; a guest that does not arrive within a minute does.
# usage: benches/kernel/run.sh OUT [ROUNDS]  (OUT is where make puts kernels/ and lamina)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:?usage: run.sh OUT [ROUNDS]}" && pwd)
for tool in qemu-system-x86_64 musl-gcc cpio zstd dpkg-deb python3; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing: run make deps-test" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root"
"$here/../boot/static-c" "$here/arrive.c" "$work/root/init"
(cd "$work/root" && find . | cpio --quiet -o -H newc | zstd -q) >"$work/initramfs"
for name in 6.1 6.12; do
    dpkg-deb --fsys-tarfile "$(readlink -f "$out/kernels/$name.deb")" | tar -xO --wildcards './boot/vmlinuz-*' >"$work/$name"
done
own=$(echo "$out"/kernels/linux-vm/boot/vmlinuz-*)
[ -e "$own" ] || { echo "run.sh: $out/kernels/linux-vm is missing: run make kernel" >&2; exit 1; }
echo "# From QEMU to /init, measured on $(date -I) at commit $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), $(qemu-system-x86_64 --version | head -n 1), no KVM, load $(cut -d' ' -f1-3 /proc/loadavg) at the begin."
python3 - "$work" "$own" "${2:-15}" <<'END'
import os, random, select, statistics, subprocess, sys, time

work, own, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
limit = 60
# Without ACPI: with it, microvm's timer may stay silent on a busy machine, on Debian's kernels too.
contestants = {
    "Debian's cloud kernel 6.12, q35": (f"{work}/6.12", "q35"),
    "Debian's cloud kernel 6.1, q35": (f"{work}/6.1", "q35"),
    "our own, q35": (own, "q35"),
    "our own, microvm": (own, "microvm,acpi=off"),
}

def arrive(kernel, machine):
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-M", machine, "-smp", "2", "-m", "512M",
             "-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-kernel", kernel, "-initrd", f"{work}/initramfs",
             "-append", "console=ttyS0 loglevel=4 no_timer_check nohz=off highres=off", "-serial", "stdio"]
    begin, seen = time.monotonic(), b""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            while b"\narrived" not in seen:
                part = b""
                if select.select([guest.stdout], [], [], begin + limit - time.monotonic())[0]:
                    part = os.read(guest.stdout.fileno(), 65536)
                if not part:
                    sys.exit(f"{kernel} on {machine} did not arrive: {seen[-500:]}")
                seen += part
            return time.monotonic() - begin
        finally:
            guest.kill()

times = {name: [] for name in contestants}
for _ in range(rounds):
    for name in random.sample(list(contestants), len(contestants)):
        times[name].append(arrive(*contestants[name]))
base = statistics.median(next(iter(times.values())))
print(f"\nMedians of {rounds} rounds in turns, in brackets the fastest and the slowest. The goals are 1.35 on q35 and 2 on microvm.\n")
print("| kernel and machine | seconds | times as fast as the first | MB |\n|---|---|---|---|")
for name, (kernel, _) in contestants.items():
    all_, size = times[name], os.path.getsize(kernel) / 1e6
    middle = statistics.median(all_)
    print(f"| {name} | {middle:.2f} ({min(all_):.2f} to {max(all_):.2f}) | {base / middle:.2f} | {size:.1f} |")
END
