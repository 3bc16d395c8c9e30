/* The yardstick: the system calls that init makes, without the thinking. It reads the command line and the profile and looks
 * at neither; it writes a report of fixed bytes. Images are /lamina/images/N.sqfs, N from 1; their number is the argument. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS_MOVE 8192
#define MNT_DETACH 2

extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);

static void check(long result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static int fsconfig(int context, unsigned command, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, context, command, key, value, 0);
}

static int open_context(const char *kind, const char *source)
{
    int context = syscall(SYS_fsopen, kind, FSOPEN_CLOEXEC);
    check(context, kind);
    check(fsconfig(context, FSCONFIG_SET_STRING, "source", source), source);
    return context;
}

static void mount_context(int context, unsigned attributes, const char *target)
{
    check(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL), target);
    int tree = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    check(tree, target);
    check(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), target);
    close(tree);
    close(context);
}

/* Reads a file from its beginning to its end, as init reads /proc/cmdline, the profile, and the head of the real init. */
static void read_file(const char *path, int most)
{
    static char buffer[65536];
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    check(file, path);
    check(fstat(file, &status), path);
    while (most-- > 0 && read(file, buffer, sizeof buffer) > 0)
        ;
    close(file);
}

static void write_file(const char *path, int length)
{
    static char buffer[65536];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    check(file, path);
    check(write(file, buffer, length), path);
    close(file);
}

/* Asks for a file that the benchmark does not have, as init asks for the list of modules. */
static void look_for(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0)
        close(file);
}

/* Lists a folder, as init looks for the newest generation of a profile. */
static void list_folder(const char *path)
{
    DIR *folder = opendir(path);
    check(folder ? 0 : -1, path);
    while (readdir(folder))
        ;
    closedir(folder);
}

/* Sees that a folder is there. */
static void make_folder(const char *path)
{
    struct stat status;
    if (mkdir(path, 0755))
        check(stat(path, &status), path);
}

/* Leaves a line in the kernel's log. */
static void tell(void)
{
    static const char line[] = "<6>baseline: profile bench, 20 layers, 1 MiB, verify none; 0.0 ms, starting /sbin/init\n";
    int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    check(log, "/dev/kmsg");
    check(write(log, line, sizeof line - 1), "/dev/kmsg");
    close(log);
}

static void mount_layer(int number)
{
    char image[64], device[32], layer[64];
    struct stat status;
    snprintf(image, sizeof image, "/lamina/images/%d.sqfs", number);
    snprintf(layer, sizeof layer, "/run/lamina/layers/%d", number);
    int file = open(image, O_RDONLY | O_CLOEXEC);
    check(file, image);
    check(fstat(file, &status), image);
    posix_fadvise(file, 0, 4096, POSIX_FADV_WILLNEED);
    posix_fadvise(file, status.st_size > 65536 ? status.st_size - 65536 : 0, 65536, POSIX_FADV_WILLNEED);
    int control = open("/dev/loop-control", O_RDONLY | O_CLOEXEC);
    check(control, "loop-control");
    int free = ioctl(control, LOOP_CTL_GET_FREE);
    check(free, "LOOP_CTL_GET_FREE");
    snprintf(device, sizeof device, "/dev/loop%d", free);
    int loop = open(device, O_RDONLY | O_CLOEXEC);
    check(loop, device);
    struct loop_config config = { .fd = file, .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR };
    check(ioctl(loop, LOOP_CONFIGURE, &config), device);
    close(control);
    close(file);
    check(mkdir(layer, 0755), layer);
    int context = open_context("squashfs", device);
    check(fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL), "ro");
    mount_context(context, MOUNT_ATTR_RDONLY, layer);
    close(loop);
}

/* Makes the folder and sees whether it is a mount point already. */
static void prepare(const char *path)
{
    struct stat status;
    make_folder(path);
    check(stat(path, &status), path);
    check(stat("/", &status), "/");
}

static void mount_early(void)
{
    prepare("/proc");
    prepare("/sys");
    mount_context(open_context("sysfs", "sysfs"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, "/sys");
    prepare("/dev");
    int devices = open_context("devtmpfs", "devtmpfs");
    check(fsconfig(devices, FSCONFIG_SET_STRING, "mode", "0755"), "mode");
    mount_context(devices, MOUNT_ATTR_NOSUID, "/dev");
    prepare("/run");
    int run = open_context("tmpfs", "tmpfs");
    check(fsconfig(run, FSCONFIG_SET_STRING, "mode", "0755"), "mode");
    mount_context(run, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_STRICTATIME, "/run");
    check(mkdir("/run/lamina", 0755), "/run/lamina");
    check(mkdir("/run/lamina/layers", 0755), "/run/lamina/layers");
}

static void stack(int layers)
{
    check(mkdir("/run/lamina/top", 0755), "top");
    int top = open_context("tmpfs", "top");
    check(fsconfig(top, FSCONFIG_SET_STRING, "size", "50%"), "size");
    mount_context(top, 0, "/run/lamina/top");
    check(mkdir("/run/lamina/top/upper", 0755), "upper");
    check(mkdir("/run/lamina/top/work", 0755), "work");
    int overlay = open_context("overlay", "baseline");
    for (int number = layers; number >= 1; number--) {
        char layer[64];
        snprintf(layer, sizeof layer, "/run/lamina/layers/%d", number);
        check(fsconfig(overlay, FSCONFIG_SET_STRING, "lowerdir+", layer), layer);
    }
    check(fsconfig(overlay, FSCONFIG_SET_STRING, "upperdir", "/run/lamina/top/upper"), "upperdir");
    check(fsconfig(overlay, FSCONFIG_SET_STRING, "workdir", "/run/lamina/top/work"), "workdir");
    mount_context(overlay, 0, "/newroot");
}

static const char *const mount_points[] = { "/newroot/dev", "/newroot/proc", "/newroot/sys", "/newroot/run" };

int main(int argc, char **argv)
{
    int layers = argc > 1 ? atoi(argv[1]) : 20;
    mount_early();
    read_file("/proc/cmdline", 2);
    read_file("/proc/sys/kernel/osrelease", 2);
    look_for("/etc/lamina/initramfs.kdl");
    look_for("/etc/lamina/modules");
    list_folder("/lamina/profiles/bench");
    read_file("/lamina/profiles/bench/1.kdl", 2);
    for (int number = 1; number <= layers; number++)
        mount_layer(number);
    stack(layers);
    for (int index = 0; index < 4; index++)
        make_folder(mount_points[index]);
    read_file("/newroot/sbin/init", 3);
    tell();
    write_file("/run/lamina/profile.kdl", 3 * 1024);
    write_file("/run/lamina/report.json", 16 * 1024);
    for (int index = 0; index < 4; index++) {
        const char *moved = mount_points[index] + strlen("/newroot");
        check(mount(moved, mount_points[index], NULL, MS_MOVE, NULL), moved);
    }
    check(chdir("/newroot"), "/newroot");
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    check(chdir("/"), "/");
    execl("/sbin/init", "/sbin/init", (char *)NULL);
    perror("/sbin/init");
    return 1;
}
