/* Runs each contestant as PID 1 of pid and mount namespaces of its own, on a fresh ramfs as the root, in turn, and prints one line
 * a run: CONTESTANT MICROSECONDS CPU_MICROSECONDS PEAK_KIB SLEPT TAKEN_OFF, the time from exec of the contestant to the first
 * instruction of the real init, the processor time of it and its children until then, the largest memory that the process has had
 * (ru_maxrss of getrusage(2), which outlives exec), and how often its threads gave a processor away and were taken off one. A run
 * that did not arrive prints "failed" in place of the numbers, and what the contestant said goes to standard error.
 *
 * usage: contest [--cold] [--busy] [--own-console] STAGE IMAGES KIND VERIFY LAYERS ROUNDS CONTESTANT...
 *   STAGE   a small tree that is copied to the root
 *   IMAGES  a folder whose sub-folders `images` and `profiles` are copied to /lamina, as far as the run needs them
 *   KIND    squashfs | erofs        VERIFY  none | verity
 *   CONTESTANT  init | init-WORD (the program of that name in STAGE) | c | c-2 | c-4 (threads) | shell; with :N behind it, it stays
 *               away after N rounds
 *   --cold  empties the page cache before each run
 *   --busy  one process a processor does nothing but calculate, until the contest ends in whatever way
 *   --own-console  what is written to /dev/console goes to a pseudoterminal of ours: the emulated serial port of a cloud machine takes 0.4 to
 *           2.7 ms for the one line that each contestant says (real ones, with a FIFO, a fraction), and these are a coin toss */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/loop.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 240

/* The descriptor to which the real init speaks. */
#define ARRIVAL 9

struct contest {
    const char *stage, *images, *kind, *verify;
    int layers, rounds, cold, busy;
    /* The other end of the console that is ours, or -1. */
    int console;
};

struct result {
    long long begin, end, cpu;
    long slept, taken_off;
    int layers;
    long peak_kib;
    char said[4096];
};

static void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "contest: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static long long now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
    static char buffer[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(in >= 0 && out >= 0, from);
    for (ssize_t length; (length = read(in, buffer, sizeof buffer)) != 0;)
        must(length > 0 && write(out, buffer, length) == length, to);
    must(!fchmod(out, mode), to);
    close(in);
    close(out);
}

/* Copies folders, files and links. */
static void copy_tree(const char *from, const char *to)
{
    DIR *folder = opendir(from);
    must(folder != NULL, from);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char source[512], target[512], link[512];
        struct stat status;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        must(!lstat(source, &status), source);
        if (S_ISDIR(status.st_mode)) {
            must(!mkdir(target, 0755), target);
            copy_tree(source, target);
        } else if (S_ISLNK(status.st_mode)) {
            ssize_t length = readlink(source, link, sizeof link - 1);
            must(length > 0, source);
            link[length] = 0;
            must(!symlink(link, target), target);
        } else {
            copy_file(source, target, status.st_mode & 0777);
        }
    }
    closedir(folder);
}

static void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    must(file >= 0 && write(file, text, strlen(text)) >= 0, path);
    close(file);
}

/* The packed store: init takes nothing for packed that lies on another mount. An image has two names, that of the C program and its digest. */
static void copy_store(const struct contest *contest, int from)
{
    static char digests[2048][80];
    static ino_t inodes[2048];
    int count = 0;
    char source[512], target[512], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    must(!mkdir("lamina", 0755) && !mkdir("lamina/images", 0755) && !mkdir("lamina/profiles", 0755), "lamina");
    snprintf(source, sizeof source, "%s/profiles", path);
    copy_tree(source, "lamina/profiles");
    snprintf(source, sizeof source, "%s/images", path);
    DIR *folder = opendir(source);
    must(folder != NULL, source);
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *end = strrchr(entry->d_name, '.');
        if (end && !strcmp(end, ".sqfs") && strlen(entry->d_name) < sizeof digests[0] && count < 2048) {
            strcpy(digests[count], entry->d_name);
            inodes[count++] = entry->d_ino;
        }
        if (end && !strcmp(end, ".verity")) {
            snprintf(source, sizeof source, "%s/images/%s", path, entry->d_name);
            snprintf(target, sizeof target, "lamina/images/%s", entry->d_name);
            copy_file(source, target, 0644);
        }
    }
    closedir(folder);
    for (int number = 1; number <= contest->layers; number++) {
        struct stat status;
        snprintf(source, sizeof source, "%s/images/%d.%s", path, number, contest->kind);
        snprintf(target, sizeof target, "lamina/images/%d.%s", number, contest->kind);
        must(!stat(source, &status), source);
        copy_file(source, target, 0644);
        for (int other = 0; other < count; other++)
            if (inodes[other] == status.st_ino) {
                snprintf(source, sizeof source, "lamina/images/%.79s", digests[other]);
                must(!link(target, source), source);
            }
    }
}

/* The root of one run. Everything in it goes away with the mount namespace. */
static void make_root(const struct contest *contest)
{
    const char *root = "/tmp";
    char command_line[256], path[512];
    must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "making mounts private");
    int stage = open(contest->stage, O_PATH | O_CLOEXEC), images = open(contest->images, O_PATH | O_CLOEXEC);
    must(stage >= 0 && images >= 0, contest->images);
    /* Not tmpfs: EROFS mounts no file of it. */
    must(!mount("none", root, "ramfs", 0, "mode=0755"), root);
    must(!chdir(root), root);
    snprintf(path, sizeof path, "/proc/self/fd/%d", stage);
    copy_tree(path, ".");
    copy_store(contest, images);
    snprintf(command_line, sizeof command_line, "quiet lamina.store=initramfs lamina.profile=%s-%s-%d\n", contest->kind,
             contest->verify, contest->layers);
    write_text("cmdline", command_line);
    must(!mount("proc", "proc", "proc", 0, NULL), "proc");
    must(!mount("cmdline", "proc/cmdline", NULL, MS_BIND, NULL), "proc/cmdline");
    close(stage);
    close(images);
    must(!syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) && !chdir("/"), "pivot_root");
}

static void become(const struct contest *contest, const char *contestant)
{
    char layers[16];
    snprintf(layers, sizeof layers, "%d", contest->layers);
    /* init gives the real init the console of its root in place of what it was given. */
    must(dup2(1, ARRIVAL) == ARRIVAL, "dup2");
    dprintf(1, "%lld %lld ", now(CLOCK_PROCESS_CPUTIME_ID), now(CLOCK_MONOTONIC));
    if (!strncmp(contestant, "init", 4)) {
        char path[64];
        snprintf(path, sizeof path, "/%s", contestant);
        execl(path, "/init", (char *)NULL);
    }
    if (!strcmp(contestant, "shell"))
        execle("/shell-init", "/shell-init", layers, contest->kind, contest->verify, (char *)NULL,
               (char *[]){ "PATH=/bin", NULL });
    else
        execl("/baseline", "/baseline", layers, contest->kind, contest->verify, contestant[1] ? contestant + 2 : "1",
              (char *)NULL);
    fprintf(stderr, "contest: %s: %s\n", contestant, strerror(errno));
    exit(1);
}

/* One run; 0 when the real init saw all layers. */
static int run(const struct contest *contest, const char *contestant, struct result *result)
{
    int said[2];
    must(!pipe2(said, O_CLOEXEC), "pipe");
    /* No memory is shared and nothing is inherited but the pipe: a fork in new namespaces. */
    long child = syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    must(child >= 0, "clone");
    if (!child) {
        int input = open("/dev/null", O_RDONLY);
        must(dup2(input, 0) == 0 && dup2(said[1], 1) == 1 && dup2(said[1], 2) == 2, "dup2");
        make_root(contest);
        become(contest, contestant);
    }
    close(said[1]);
    size_t filled = 0;
    /* Who does not get there may wait for a key for ever. */
    long long deadline = now(CLOCK_MONOTONIC) + PATIENCE_SECONDS * 1000000000LL;
    for (ssize_t length = 1; length > 0 && filled < sizeof result->said - 1;) {
        struct pollfd more = { .fd = said[0], .events = POLLIN };
        int rest = (deadline - now(CLOCK_MONOTONIC)) / 1000000;
        if (rest <= 0 || poll(&more, 1, rest) <= 0)
            break;
        length = read(said[0], result->said + filled, sizeof result->said - 1 - filled);
        filled += length > 0 ? length : 0;
    }
    result->said[filled] = 0;
    if (!strstr(result->said, "arrived "))
        kill(child, SIGKILL);
    close(said[0]);
    struct rusage usage;
    int status;
    must(wait4(child, &status, 0, &usage) == child, "wait4");
    result->peak_kib = usage.ru_maxrss;
    long long cpu_before = 0;
    /* What a program said on its way stands between the two times. */
    const char *arrival = strstr(result->said, "arrived ");
    if (!arrival || sscanf(result->said, "%lld %lld", &cpu_before, &result->begin) != 2 ||
        sscanf(arrival, "arrived %lld %d %lld %ld %ld", &result->end, &result->layers, &result->cpu, &result->slept,
               &result->taken_off) != 5)
        return 1;
    result->cpu -= cpu_before / 1000;
    return result->layers != contest->layers;
}

/* Loop devices over our images: detaches those that nobody has mounted, and says how many there are. The shell way has no
 * AUTOCLEAR in one step with the attachment; and the kernel takes the mounts of one run apart while the next one could start. */
static int loops_in_use(void)
{
    int count = 0;
    DIR *folder = opendir("/sys/block");
    must(folder != NULL, "/sys/block");
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[512];
        struct loop_info64 info;
        if (strncmp(entry->d_name, "loop", 4))
            continue;
        snprintf(path, sizeof path, "/sys/block/%s/loop", entry->d_name);
        if (access(path, F_OK))
            continue;
        snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        int device = open(path, O_RDONLY | O_CLOEXEC);
        if (device < 0)
            continue;
        if (!ioctl(device, LOOP_GET_STATUS64, &info) && strncmp((char *)info.lo_file_name, "/lamina/images/", 15) == 0) {
            count++;
            ioctl(device, LOOP_CLR_FD, 0);
        }
        close(device);
    }
    closedir(folder);
    return count;
}

/* Only where device-mapper is there at all, which is in a guest of our own: removes what nobody has open. */
static void remove_verity(const struct contest *contest)
{
    struct dm_ioctl order = { .version = { 4, 0, 0 }, .data_size = sizeof order, .data_start = sizeof order };
    if (strcmp(contest->verify, "verity"))
        return;
    int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    must(control >= 0, "/dev/mapper/control");
    ioctl(control, DM_REMOVE_ALL, &order);
    close(control);
}

/* TIOCCONS of ioctl_console(2): until this process ends, a pseudoterminal takes what anybody writes to /dev/console. */
static int own_console(void)
{
    int ours = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    must(ours >= 0 && !grantpt(ours) && !unlockpt(ours), "/dev/ptmx");
    int console = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(console >= 0 && !ioctl(console, TIOCCONS), "TIOCCONS");
    return ours;
}

static void rest(const struct contest *contest)
{
    char words[4096];
    while (contest->console >= 0 && read(contest->console, words, sizeof words) > 0)
        ;
    for (int turn = 0; turn < 3000; turn++) {
        usleep(20000);
        remove_verity(contest);
        if (!loops_in_use())
            break;
    }
    usleep(100000);
    if (contest->cold) {
        sync();
        write_text("/proc/sys/vm/drop_caches", "3\n");
    }
}

/* One process a processor that calculates and makes no call. The kernel ends them when this process ends. */
static void keep_processors_busy(void)
{
    pid_t parent = getpid();
    for (long left = sysconf(_SC_NPROCESSORS_ONLN); left > 0; left--) {
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* The parent may be gone already. */
        if (getppid() != parent)
            _exit(0);
        for (volatile unsigned long number = 0;; number++)
            ;
    }
}

/* Any order, the same in each contest: whoever comes after the shell, with its many processes, is slower, and this must not
 * be the same contestant each time. */
static void shuffle(int *order, int count)
{
    static unsigned long long state = 1;
    for (int last = count - 1; last > 0; last--) {
        /* Knuth's MMIX generator; its high bits are the good ones. */
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        int other = (state >> 33) % (last + 1), kept = order[last];
        order[last] = order[other];
        order[other] = kept;
    }
}

int main(int argc, char **argv)
{
    struct contest contest = { .console = -1 };
    for (; argc > 1 && argv[1][0] == '-'; argv++, argc--) {
        if (!strcmp(argv[1], "--cold"))
            contest.cold = 1;
        else if (!strcmp(argv[1], "--busy"))
            contest.busy = 1;
        else if (!strcmp(argv[1], "--own-console"))
            contest.console = own_console();
        else
            break;
    }
    if (argc < 8 || argv[1][0] == '-') {
        fputs("usage: contest [--cold] [--busy] [--own-console] STAGE IMAGES KIND VERIFY LAYERS ROUNDS CONTESTANT...\n", stderr);
        return 2;
    }
    contest.stage = argv[1], contest.images = argv[2], contest.kind = argv[3], contest.verify = argv[4];
    contest.layers = atoi(argv[5]), contest.rounds = atoi(argv[6]);
    char **contestants = argv + 7;
    int count = argc - 7, left[16], order[16];
    must(count <= 16, "more than 16 contestants");
    for (int index = 0; index < count; index++) {
        order[index] = index;
        char *most = strchr(contestants[index], ':');
        left[index] = most ? atoi(most + 1) : contest.rounds;
        if (most)
            *most = 0;
    }
    if (contest.busy)
        keep_processors_busy();
    /* Another order each round, so that noise and what one leaves behind fall on all alike. */
    for (int round = 0; round < contest.rounds; round++) {
        shuffle(order, count);
        for (int turn = 0; turn < count; turn++) {
            static struct result result;
            int index = order[turn];
            if (left[index]-- <= 0)
                continue;
            rest(&contest);
            if (run(&contest, contestants[index], &result)) {
                left[index] = 0;
                printf("%s failed failed failed failed failed\n", contestants[index]);
                fprintf(stderr, "contest: %s did not arrive (%s, %s, %d layers), and said:\n%s\n", contestants[index],
                        contest.kind, contest.verify, contest.layers, result.said);
            } else {
                printf("%s %lld %lld %ld %ld %ld\n", contestants[index], (result.end - result.begin) / 1000, result.cpu,
                       result.peak_kib, result.slept, result.taken_off);
            }
            fflush(stdout);
        }
    }
    rest(&contest);
    return 0;
}
