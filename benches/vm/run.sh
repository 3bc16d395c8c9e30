#!/bin/bash
# How long a profile takes in a virtual machine, as Markdown for docs/results/: from the command to the prompt, with `lamina vm` beside what `make boot` runs, in
# turns; from the command to QEMU's own start; and a command in a guest, booted and from a snapshot. Nothing fails for being slow.
# usage: benches/vm/run.sh OUT [ROUNDS]  (OUT is where make puts boot, lamina, mkinitramfs, init and guest-agent)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:?usage: run.sh OUT [ROUNDS]}" && pwd)
export LAMINA_OUT="$out" LAMINA_CACHE="${LAMINA_CACHE:-$HOME/.cache/lamina}"
export LAMINA_STORE="${LAMINA_STORE:-$LAMINA_CACHE/store}"
command -v qemu-system-x86_64 >/dev/null || { echo "run.sh: qemu-system-x86_64 is missing: run make deps-test" >&2; exit 1; }
echo "# Virtual machines, measured on $(date -I) at commit $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
echo "$(nproc) processors ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1)," \
    "load $(cut -d' ' -f1-3 /proc/loadavg) at the begin."
exec python3 - "$out" "${2:-7}" <<'END'
import os, pty, random, select, signal, statistics, subprocess, sys, time

out, rounds = sys.argv[1], int(sys.argv[2])
limit = 300

def prompt(*words):
    """Seconds from the start of a command on a terminal to the guest's prompt."""
    begin = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.execv(words[0], words)
    seen = b""
    while b":~# " not in seen:
        if not select.select([terminal], [], [], limit)[0]:
            sys.exit(f"{words}: no prompt in {limit} s: {seen[-500:]}")
        seen += os.read(terminal, 65536)
    took = time.monotonic() - begin
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    return took

def run(*words):
    begin = time.monotonic()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin

vm = f"{out}/lamina", "vm", "console"
contestants = {
    "the prompt, `make boot` (`out/boot --profile console`)": lambda: prompt(f"{out}/boot", "--profile", "console"),
    "the prompt, `lamina vm console`": lambda: prompt(*vm),
    "QEMU's command line, `lamina vm console --dry-run`": lambda: run(*vm, "--dry-run"),
    "`lamina vm console --run true`": lambda: run(*vm, "--run", "true"),
    "`lamina vm console --run true --snapshot`": lambda: run(*vm, "--run", "true", "--snapshot"),
}
for first in contestants.values():
    first()
times = {name: [] for name in contestants}
for _ in range(rounds):
    for name in random.sample(list(contestants), len(contestants)):
        times[name].append(contestants[name]())
print(f"Warm caches, medians of {rounds} rounds in turns, in brackets the fastest and the slowest.\n")
print("| from the command to | seconds | of `make boot` |\n|---|---|---|")
base = statistics.median(next(iter(times.values())))
for name, all_ in times.items():
    middle = statistics.median(all_)
    print(f"| {name} | {middle:.2f} ({min(all_):.2f} to {max(all_):.2f}) | {middle / base:.2f} |")
END
