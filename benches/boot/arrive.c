/* The real init of the benchmark: prints CLOCK_MONOTONIC in nanoseconds, and whether the stack under it is right. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const char *state = access("/layer/1", R_OK) || access("/layer/20", R_OK) ? "incomplete" : "complete";
    printf("%lld %s\n", now.tv_sec * 1000000000LL + now.tv_nsec, state);
    return 0;
}
