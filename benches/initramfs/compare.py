"""Times the generators in turns and prints Markdown. Started by run.sh, which makes what the arguments name."""

import os, random, statistics, subprocess, sys, time

out, root, cpio3, work, rounds = *sys.argv[1:5], int(sys.argv[5])
release = os.listdir(f"{root}/usr/lib/modules")[0]
made = f"{root}/tmp/made"

def run(*words, inside=False):
    words = ("chroot", root, *words) if inside else words
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"{words}: exit status {done.returncode}\n{done.stdout.decode(errors='replace')[-2000:]}")

def lamina(*options, output=made):
    run(f"{out}/mkinitramfs", "--kernel", f"{root}/usr/lib/modules/{release}", "--init", f"{out}/init", *options, "--output", output)

def dracut():
    # Without a clean environment it takes settings of the caller.
    run("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "dracut", "--quiet", "--force", "--no-hostonly", "--zstd", "/tmp/made", release, inside=True)

def initramfs_tools(modules):
    folder = f"{root}/tmp/initramfs-tools"
    if not os.path.exists(folder):
        subprocess.run(["cp", "-a", f"{root}/etc/initramfs-tools", folder], check=True)
    with open(f"{folder}/conf.d/modules", "w") as settings:
        settings.write(f"MODULES={modules}\n")
    run("mkinitramfs", "-d", "/tmp/initramfs-tools", "-o", "/tmp/made", release, inside=True)

def contest(title, contestants):
    """Runs all of them in another order each round; the first is the measure of the others."""
    size, times = {}, {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in random.sample(list(contestants), len(contestants)):
            if os.path.exists(made):
                os.remove(made)
            begin = time.monotonic()
            contestants[name]()
            took = time.monotonic() - begin
            size[name] = os.path.getsize(made)
            # The first round warms the caches.
            if number > 0:
                times[name].append(took)
    first = next(iter(contestants))
    base = statistics.median(times[first])
    print(f"\n## {title}\n")
    print(f"Warm caches, medians of {rounds} rounds, in brackets the fastest and the slowest.\n")
    print("| made by | seconds | of the first | MiB | of the first |\n|---|---|---|---|---|")
    for name, all_ in times.items():
        middle = statistics.median(all_)
        print(f"| {name} | {middle:.2f} ({min(all_):.2f} to {max(all_):.2f}) | {middle / base:.2f} | {size[name] / 2**20:.2f} | {size[name] / size[first]:.2f} |")

contest("For any machine", {
    "`mkinitramfs --generic`": lambda: lamina("--generic"),
    "dracut, `--no-hostonly --zstd`": dracut,
    "initramfs-tools, `MODULES=most`": lambda: initramfs_tools("most"),
})
# dracut's --hostonly asks udev's database, which a Debian without udev running has not: it makes what --no-hostonly makes.
contest("For virtual machines and for this one", {
    "`mkinitramfs`": lambda: lamina(),
    "`mkinitramfs --host`": lambda: lamina("--host"),
    "initramfs-tools, `MODULES=list`": lambda: initramfs_tools("list"),
})

def unpack(archive, folder):
    os.makedirs(folder)
    run(cpio3, "--extract", "-C", folder, archive)

def archive():
    """One folder, written by both: here the modules of the first contest as a drop-in, beside a kernel that has everything built in."""
    drop_in, kernel, everything = f"{work}/modules", f"{work}/kernel", f"{work}/everything"
    lamina("--generic", output=f"{work}/generic.img")
    unpack(f"{work}/generic.img", everything)
    os.makedirs(f"{drop_in}/files/srv")
    os.rename(f"{everything}/lib/modules", f"{drop_in}/files/srv/modules")
    folder = f"{kernel}/lib/modules/{release}"
    os.makedirs(folder)
    modules = subprocess.run(["find", f"{root}/usr/lib/modules/{release}/kernel", "-name", "*.ko", "-printf", "kernel/%P\n"], check=True, stdout=subprocess.PIPE)
    with open(f"{folder}/modules.builtin", "wb") as builtin:
        builtin.write(modules.stdout)
    open(f"{folder}/modules.dep", "w").close()

    def ours(level):
        run(f"{out}/mkinitramfs", "--kernel", kernel, "--init", f"{out}/init", "--drop-in", drop_in, "--level", str(level), "--output", made)
    # Exactly the same entries for the other.
    ours(1)
    same = f"{work}/same"
    unpack(made, same)
    names = sorted(os.path.relpath(os.path.join(folder, name), same) for folder, folders, files in os.walk(same) for name in folders + files)

    def theirs(level):
        lines = [f"#cpio: zstd -{level}\n", *(f"{same}/{name}\t{name}\n" for name in names)]
        done = subprocess.run([cpio3, "--create", made], input="".join(lines).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"3cpio: {done.stdout.decode()}")
    for level in 1, 10:
        contest(f"The archive alone: {len(names)} entries, zstd level {level}", {
            "`mkinitramfs --drop-in`, the whole command": lambda: ours(level),
            "`3cpio --create`": lambda: theirs(level),
        })

archive()
