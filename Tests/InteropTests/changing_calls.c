// Loaded into the program by LD_PRELOAD: numbers the calls that change files in some folders, notes
// each of them, and makes one fail or end the process.
//
//     CALLS_FOLDERS  the folders, with ':' between them
//     CALLS_LOG      a file that gets a line for each call: its number, its name, the offset and the
//                    count where it has them, and the path
//     CALLS_READS    a folder of which the calls that read are noted too, as number 0
//     CALLS_FAIL     number:errno for one call, number+:errno for all from there on
//     CALLS_KILL     number: the process is killed in place of the call
//     CALLS_TEAR     number: it is killed after the first half of the bytes of a write, or after the
//                    call where it writes none
//     CALLS_STOP     number: it is stopped before the call, until it gets SIGCONT
//     CALLS_HAMPER   every second call is interrupted, and each read and write does half of its bytes

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_ulong number;
static atomic_ulong interruption;

enum fate { PASS, FAIL, TEAR };

// Whether it is one of the folders, or in one.
static int is_in(const char *path, const char *folders) {
    while (folders && *folders) {
        const char *end = strchrnul(folders, ':');
        size_t count = (size_t)(end - folders);
        if (strncmp(path, folders, count) == 0 && (path[count] == '/' || path[count] == 0)) {
            return 1;
        }
        folders = *end ? end + 1 : end;
    }
    return 0;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, PATH_MAX - 1);
    if (count < 0) return 0;
    path[count] = 0;
    return 1;
}

static void note(unsigned long number, const char *name, off_t offset, size_t count,
                 const char *path) {
    const char *log = getenv("CALLS_LOG");
    if (!log) return;
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "%lu %s %lld %zu %s\n", number, name,
                          (long long)offset, count, path);
    int descriptor = NEXT(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return;
    (void)!write(descriptor, line, (size_t)length);
    close(descriptor);
}

static void end_here(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int is_number(const char *variable, unsigned long number) {
    const char *text = getenv(variable);
    return text && strtoul(text, NULL, 10) == number;
}

// What becomes of a call on a path. For FAIL errno is set.
static enum fate fate_of(const char *name, const char *path, off_t offset, size_t count) {
    if (!is_in(path, getenv("CALLS_FOLDERS"))) return PASS;
    unsigned long mine = atomic_fetch_add(&number, 1) + 1;
    note(mine, name, offset, count, path);
    if (is_number("CALLS_KILL", mine)) end_here();
    if (is_number("CALLS_STOP", mine)) kill(getpid(), SIGSTOP);
    if (is_number("CALLS_TEAR", mine)) return TEAR;
    const char *failing = getenv("CALLS_FAIL");
    if (!failing) return PASS;
    char *rest;
    unsigned long first = strtoul(failing, &rest, 10);
    int lasts = *rest == '+';
    if (mine != first && !(lasts && mine > first)) return PASS;
    errno = atoi(rest + lasts + 1);
    return FAIL;
}

// Whether a call that may be interrupted is to be. For that errno is set.
static int is_interrupted(void) {
    if (!getenv("CALLS_HAMPER") || atomic_fetch_add(&interruption, 1) % 2) return 0;
    errno = EINTR;
    return 1;
}

static size_t hampered(size_t count) {
    return getenv("CALLS_HAMPER") && count > 1 ? count / 2 : count;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    if (is_interrupted()) return -1;
    enum fate fate = PASS;
    if (path_of(descriptor, path)) fate = fate_of("pwrite", path, offset, count);
    if (fate == FAIL) return -1;
    if (fate == TEAR) {
        NEXT(pwrite)(descriptor, bytes, count / 2, offset);
        end_here();
    }
    return NEXT(pwrite)(descriptor, bytes, hampered(count), offset);
}

ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    if (is_interrupted()) return -1;
    if (getenv("CALLS_READS") && path_of(descriptor, path) && is_in(path, getenv("CALLS_READS"))) {
        note(0, "pread", offset, count, path);
    }
    return NEXT(pread)(descriptor, bytes, hampered(count), offset);
}

// A call on an open file that gives 0, with its arguments in the parentheses.
#define ON_FILE(name, offset, count, ...) \
    do { \
        char path[PATH_MAX]; \
        if (is_interrupted()) return -1; \
        enum fate fate = PASS; \
        if (path_of(descriptor, path)) fate = fate_of(#name, path, offset, count); \
        if (fate == FAIL) return -1; \
        int result = NEXT(name)(__VA_ARGS__); \
        if (fate == TEAR) end_here(); \
        return result; \
    } while (0)

int fdatasync(int descriptor) { ON_FILE(fdatasync, 0, 0, descriptor); }

int fsync(int descriptor) { ON_FILE(fsync, 0, 0, descriptor); }

int ftruncate(int descriptor, off_t length) {
    ON_FILE(ftruncate, length, 0, descriptor, length);
}

int fallocate(int descriptor, int mode, off_t offset, off_t count) {
    ON_FILE(fallocate, offset, (size_t)count, descriptor, mode, offset, count);
}

int unlink(const char *path) {
    enum fate fate = fate_of("unlink", path, 0, 0);
    if (fate == FAIL) return -1;
    int result = NEXT(unlink)(path);
    if (fate == TEAR) end_here();
    return result;
}

int rename(const char *from, const char *to) {
    enum fate fate = fate_of("rename", to, 0, 0);
    if (fate == FAIL) return -1;
    int result = NEXT(rename)(from, to);
    if (fate == TEAR) end_here();
    return result;
}

int ioctl(int descriptor, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    char path[PATH_MAX];
    enum fate fate = PASS;
    if (request == FICLONE && path_of(descriptor, path)) fate = fate_of("clone", path, 0, 0);
    if (fate == FAIL) return -1;
    int result = NEXT(ioctl)(descriptor, request, argument);
    if (fate == TEAR) end_here();
    return result;
}

// Opening to write. The program gives absolute paths.
int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    enum fate fate = PASS;
    if ((flags & O_ACCMODE) != O_RDONLY) fate = fate_of("open", path, 0, 0);
    if (fate == FAIL) return -1;
    int result = NEXT(open)(path, flags, mode);
    if (fate == TEAR) end_here();
    return result;
}

// What libraries call that were built for files of any size: here all are.
#define SAME_AS(name) __attribute__((alias(#name)))
ssize_t pwrite64(int, const void *, size_t, off_t) SAME_AS(pwrite);
ssize_t pread64(int, void *, size_t, off_t) SAME_AS(pread);
int ftruncate64(int, off_t) SAME_AS(ftruncate);
int fallocate64(int, int, off_t, off_t) SAME_AS(fallocate);
int open64(const char *, int, ...) SAME_AS(open);
