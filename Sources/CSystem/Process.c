#include "CSystem.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LONG_OPTION_LIMIT = 64 };

struct csystem_parsed_option csystem_next_option(
    int argc, char *const *argv, const char *short_options,
    const struct csystem_long_option *long_options, int long_option_count) {
    struct option options[LONG_OPTION_LIMIT + 1] = {{0}};
    if (long_option_count > LONG_OPTION_LIMIT) abort();
    for (int index = 0; index < long_option_count; index += 1) {
        options[index].name = long_options[index].name;
        options[index].has_arg = long_options[index].takes_argument;
        options[index].val = long_options[index].value;
    }
    opterr = 0;
    int value = getopt_long(argc, argv, short_options, options, NULL);
    struct csystem_parsed_option result = {value, optarg, optind};
    return result;
}

void csystem_reset_options(void) {
    // Zero, unlike 1, makes glibc also forget how far it came within an argument.
    optind = 0;
}

int csystem_terminal_width(int descriptor) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

int csystem_affinity_count(void) {
    // The call fails where the set is smaller than the kernel's.
    for (int limit = 1024; limit <= 1 << 20; limit *= 2) {
        cpu_set_t *set = CPU_ALLOC(limit);
        if (set == NULL) return 0;
        size_t size = CPU_ALLOC_SIZE(limit);
        int status = sched_getaffinity(0, size, set);
        int count = status == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (status == 0) return count;
    }
    return 0;
}

int64_t csystem_read_text(const char *path, char *buffer, size_t capacity) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t count = read(descriptor, buffer, capacity);
    close(descriptor);
    return count;
}
