/* Makes DIR the root of this mount namespace, prints CLOCK_MONOTONIC in nanoseconds, and becomes PROGRAM.
 * usage: launch DIR PROGRAM [ARGUMENT...]   as PID 1 of private pid and mount namespaces */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3 || getpid() != 1) {
        fputs("usage: launch DIR PROGRAM, as PID 1 of private namespaces\n", stderr);
        return 2;
    }
    if (chdir(argv[1]) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) {
        perror(argv[1]);
        return 1;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(1, "%lld ", now.tv_sec * 1000000000LL + now.tv_nsec);
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
