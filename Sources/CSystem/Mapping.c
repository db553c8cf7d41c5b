#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

// The processor's tables take pieces of this size as a whole, where memory and file are aligned alike.
static const size_t large_page = 2 << 20;

// What the handler of a signal may look at: a file in memory, and whether a page of it was not to be had.
static struct {
    _Atomic uintptr_t start;
    _Atomic size_t count;
    atomic_int is_broken;
    // Of its own, since who looks may outlive who has opened the file.
    int descriptor;
    uint64_t file_byte_count;
} mappings[64];

// In the place of an address: nothing lies there yet.
static const uintptr_t taken = 1;

static const int mapping_limit = sizeof mappings / sizeof mappings[0];

static struct sigaction other_action;
static atomic_int is_guarded;

// Puts zeros in the place of what cannot be read, up to the end of the file: the thread goes on, and
// is told when it asks. Another thread that reads the zeros finds the mark set.
static int is_replaced(uintptr_t address) {
    for (int mapping = 0; mapping < mapping_limit; mapping++) {
        uintptr_t start = atomic_load(&mappings[mapping].start);
        size_t count = atomic_load(&mappings[mapping].count);
        if (start <= taken || address < start || address - start >= count) continue;
        atomic_store(&mappings[mapping].is_broken, 1);
        uintptr_t page = address & ~((uintptr_t)csystem_page_byte_count() - 1);
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
        return mmap((void *)page, start + count - page, PROT_READ, flags, -1, 0) != MAP_FAILED;
    }
    return 0;
}

static void on_bus_error(int number, siginfo_t *information, void *context) {
    int error = errno;
    int replaced = is_replaced((uintptr_t)information->si_addr);
    errno = error;
    if (replaced) return;
    // Not about a file of this program's: as if this handler were not there.
    if (other_action.sa_flags & SA_SIGINFO) {
        other_action.sa_sigaction(number, information, context);
    } else if (other_action.sa_handler != SIG_DFL && other_action.sa_handler != SIG_IGN) {
        other_action.sa_handler(number);
    } else {
        (void)sigaction(number, &other_action, NULL);
        if (information->si_code <= 0) (void)raise(number);
    }
}

int csystem_guard_mappings(void) {
    if (atomic_load(&is_guarded)) return 0;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    // First what the handler looks at.
    if (sigaction(SIGBUS, NULL, &other_action) != 0 || sigaction(SIGBUS, &action, NULL) != 0) return errno;
    atomic_store(&is_guarded, 1);
    return 0;
}

int csystem_keeps_pages(int descriptor) {
    struct statfs volume;
    if (fstatfs(descriptor, &volume) != 0) return 0;
    return volume.f_type == EXT4_SUPER_MAGIC || volume.f_type == XFS_SUPER_MAGIC ||
           volume.f_type == BTRFS_SUPER_MAGIC;
}

static int free_mapping(void) {
    for (int mapping = 0; mapping < mapping_limit; mapping++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&mappings[mapping].start, &none, taken)) return mapping;
    }
    return -ENOMEM;
}

static int given_up(int mapping, int own, int error) {
    if (own >= 0) (void)close(own);
    atomic_store(&mappings[mapping].start, 0);
    return -error;
}

int csystem_map(int descriptor, uint64_t count, const void **start) {
    if (!atomic_load(&is_guarded)) return -EPERM;
    if (count == 0 || count > SIZE_MAX / 2) return -EINVAL;
    int mapping = free_mapping();
    if (mapping < 0) return mapping;
    int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return given_up(mapping, own, errno);
    size_t page = csystem_page_byte_count();
    size_t needed = (count + page - 1) / page * page;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *space = mmap(NULL, needed + large_page, PROT_NONE, flags, -1, 0);
    if (space == MAP_FAILED) return given_up(mapping, own, errno);
    uintptr_t from = (uintptr_t)space, to = from + needed + large_page;
    uintptr_t aligned = (from + large_page - 1) / large_page * large_page;
    if (aligned > from) (void)munmap((void *)from, aligned - from);
    if (to > aligned + needed) (void)munmap((void *)(aligned + needed), to - aligned - needed);
    if (mmap((void *)aligned, count, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
        int error = errno;
        (void)munmap((void *)aligned, needed);
        return given_up(mapping, own, error);
    }
    mappings[mapping].descriptor = own;
    mappings[mapping].file_byte_count = count;
    atomic_store(&mappings[mapping].is_broken, 0);
    atomic_store(&mappings[mapping].count, needed);
    atomic_store(&mappings[mapping].start, aligned);
    *start = (const void *)aligned;
    return mapping;
}

int csystem_mapping_is_usable(int mapping) {
    return !atomic_load(&mappings[mapping].is_broken);
}

int csystem_mapping_is_intact(int mapping) {
    struct stat status;
    // Of a page that a file ends in the rest reads as zeros, and no signal says so.
    return csystem_mapping_is_usable(mapping) && fstat(mappings[mapping].descriptor, &status) == 0 &&
           (uint64_t)status.st_size >= mappings[mapping].file_byte_count;
}

void csystem_unmap(int mapping) {
    uintptr_t start = atomic_exchange(&mappings[mapping].start, taken);
    (void)munmap((void *)start, atomic_exchange(&mappings[mapping].count, 0));
    (void)close(mappings[mapping].descriptor);
    atomic_store(&mappings[mapping].start, 0);
}

void csystem_give_back_pages(const void *start, size_t count) {
    (void)madvise((void *)start, count, MADV_DONTNEED);
}
