#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Headers of Linux before 6.5 do not have cachestat(2). Its number is the same on every processor.
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct cache_range {
    uint64_t offset;
    uint64_t count;
};

struct cache_state {
    uint64_t cached;
    uint64_t dirty;
    uint64_t under_writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

uint64_t csystem_page_byte_count(void) {
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

// To others mincore(2) answers that all pages are there.
static int may_ask(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return 0;
    if (geteuid() == 0 || geteuid() == status.st_uid) return 1;
    return (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR;
}

static int ask_for_each(int descriptor, uint64_t offset, uint64_t page_count, uint8_t *pages) {
    if (!may_ask(descriptor)) return EPERM;
    size_t count = page_count * csystem_page_byte_count();
    void *memory = mmap(NULL, count, PROT_READ, MAP_SHARED, descriptor, (off_t)offset);
    if (memory == MAP_FAILED) return errno;
    int error = mincore(memory, count, pages) == 0 ? 0 : errno;
    (void)munmap(memory, count);
    for (uint64_t page = 0; page < page_count; page++) pages[page] &= 1;
    return error;
}

int csystem_cached_pages(int descriptor, uint64_t offset, uint64_t page_count, uint8_t *pages) {
    struct cache_range range = {offset, page_count * csystem_page_byte_count()};
    struct cache_state state;
    // Most often none is there, or all are: that costs less to find out.
    if (syscall(SYS_cachestat, descriptor, &range, &state, 0) != 0) {
        return errno == EPERM ? EPERM : ask_for_each(descriptor, offset, page_count, pages);
    }
    if (state.cached != 0 && state.cached < page_count) {
        return ask_for_each(descriptor, offset, page_count, pages);
    }
    memset(pages, state.cached != 0, page_count);
    return 0;
}

void csystem_drop_cache(int descriptor, uint64_t offset, uint64_t count) {
    (void)posix_fadvise(descriptor, (off_t)offset, (off_t)count, POSIX_FADV_DONTNEED);
}
