/* The restart script of the bench, and the process that it starts again: small and static, so that little is measured but
 * what leads to it. FOLDER and PROGRAM (this file, built) are given by the compiler's command line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void live(const char *name) {
    execl(PROGRAM, PROGRAM, name, (char *)0);
    _exit(1);
}

static void herd(int count) {
    char name[32];
    for (int i = 1; i <= count; i++) {
        snprintf(name, sizeof name, "n%d.", i);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            live(name);
        }
    }
}

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc == 3)
        herd(atoi(argv[2]));
    if (argc > 1)
        for (;;)
            pause();
    const char *entry = getenv("PS_PENT_ID");
    int stamps = open(FOLDER "/stamps", O_WRONLY | O_CLOEXEC);
    dprintf(stamps, "%lld %s\n", now.tv_sec * 1000000000LL + now.tv_nsec, entry);
    char name[32], path[4096];
    snprintf(name, sizeof name, "n%s.", entry);
    int child = fork();
    if (child == 0) {
        setsid();
        live(name);
    }
    snprintf(path, sizeof path, FOLDER "/pid.%s", entry);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dprintf(file, "%d\n", child);
    return 0;
}
