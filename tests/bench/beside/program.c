/* The workers of the bench, who starts them, and the noise: one small static program, so that little is measured but what
 * leads to it. FOLDER is given by the compiler's command line. It is called as
 *   FOLDER/bin/wNNNNN infinity   a worker; its command name is wNNNNN
 *   FOLDER/start/NNNNN           the start script of that worker: writes down when it began to run, then starts it
 *   FOLDER/run/NNNNN             the same, but becomes the worker: for those who watch their own children
 *   ./run in a folder NNNNN      the same, where a service is a folder
 *   FOLDER/again/NNNNN           the same as start, without a stamp: the bench brings a worker back
 *   FOLDER/fault                 writes down when it began to run, for no worker: a change of state is told
 *   FOLDER/program herd N        starts so many workers, and ends with them
 *   FOLDER/program noise RATE    so many short processes a second; counts them in FOLDER/noise
 *   FOLDER/program short         one of them */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void stamp(long long at, int worker) {
    char line[64];
    int length = snprintf(line, sizeof line, "%lld %d\n", at, worker);
    int stamps = open(FOLDER "/stamps", O_WRONLY | O_CLOEXEC);
    if (stamps == -1 || write(stamps, line, length) != length)
        _exit(1);
    close(stamps);
}

static void write_down(int worker, int pid) {
    int pids = open(FOLDER "/pids", O_WRONLY | O_CLOEXEC);
    if (pids == -1 || pwrite(pids, &pid, sizeof pid, (off_t)worker * sizeof pid) != sizeof pid)
        _exit(1);
    close(pids);
}

static void become(int worker) {
    char path[4096];
    snprintf(path, sizeof path, FOLDER "/bin/w%05d", worker);
    execl(path, path, "infinity", (char *)0);
    _exit(1);
}

static int start(int worker) {
    int child = fork();
    if (child == 0) {
        setsid();
        become(worker);
    }
    write_down(worker, child);
    return 0;
}

static void herd(int count) {
    pid_t herder = getpid();
    signal(SIGCHLD, SIG_IGN);
    for (int worker = 1; worker <= count; worker++)
        if (fork() == 0) {
            signal(SIGCHLD, SIG_DFL);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != herder)
                _exit(1);
            write_down(worker, getpid());
            become(worker);
        }
    for (;;)
        pause();
}

static void noise(long long rate) {
    char *arguments[] = {FOLDER "/program", "short", 0};
    int file = open(FOLDER "/noise", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    long long begun = now();
    for (long long count = 1;; count++) {
        pid_t child;
        if (posix_spawn(&child, arguments[0], 0, 0, arguments, environ) != 0)
            _exit(1);
        waitpid(child, 0, 0);
        if (pwrite(file, &count, sizeof count, 0) != sizeof count)
            _exit(1);
        /* Ten at a time; what could not be made in time is made up for. */
        long long early = begun + count * 1000000000LL / rate - now();
        if (count % 10 == 0 && early > 0) {
            struct timespec rest = {early / 1000000000LL, early % 1000000000LL};
            nanosleep(&rest, 0);
        }
    }
}

int main(int argc, char **argv) {
    long long begun = now();
    const char *name = strrchr(argv[0], '/');
    /* s6 calls it by this name alone. */
    if (name == 0)
        name = argv[0] = "/run";
    size_t folder = name - argv[0];
    int worker = atoi(name + 1);
    if (argc > 1 && strcmp(argv[1], "infinity") == 0)
        for (;;)
            pause();
    if (argc > 1 && strcmp(argv[1], "short") == 0)
        return 0;
    if (argc > 2 && strcmp(argv[1], "herd") == 0)
        herd(atoi(argv[2]));
    if (argc > 2 && strcmp(argv[1], "noise") == 0)
        noise(atoll(argv[2]));
    if (strcmp(name, "/fault") == 0) {
        stamp(begun, 0);
        return 0;
    }
    if (folder >= 6 && strncmp(name - 6, "/again", 6) == 0)
        return start(worker);
    int runs = folder >= 4 && strncmp(name - 4, "/run", 4) == 0;
    char here[4096];
    if (strcmp(name, "/run") == 0 && getcwd(here, sizeof here)) {
        worker = atoi(strrchr(here, '/') + 1);
        runs = 1;
    }
    stamp(begun, worker);
    if (runs) {
        write_down(worker, getpid());
        become(worker);
    }
    return start(worker);
}
