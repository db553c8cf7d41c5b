#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fallocate_or_error(int descriptor, int mode, uint64_t offset, uint64_t count) {
    int status;
    do {
        status = fallocate(descriptor, mode, (off_t)offset, (off_t)count);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

int csystem_allocate(int descriptor, uint64_t offset, uint64_t count) {
    return fallocate_or_error(descriptor, 0, offset, count);
}

void csystem_start_writing(int descriptor) {
    // What fails here fails again in the flush, which says so.
    (void)sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int csystem_punch_hole(int descriptor, uint64_t offset, uint64_t count) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate_or_error(descriptor, mode, offset, count);
}

int csystem_zero_range(int descriptor, uint64_t offset, uint64_t count) {
    int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
    return fallocate_or_error(descriptor, mode, offset, count);
}

int64_t csystem_seek_data(int descriptor, uint64_t offset) {
    return lseek(descriptor, (off_t)offset, SEEK_DATA);
}

int64_t csystem_seek_hole(int descriptor, uint64_t offset) {
    return lseek(descriptor, (off_t)offset, SEEK_HOLE);
}

static struct flock lock_range(short type, uint64_t offset, uint64_t count) {
    struct flock lock = {
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)offset,
        .l_len = (off_t)count,
    };
    return lock;
}

int csystem_lock(int descriptor, int exclusive, uint64_t offset, uint64_t count) {
    struct flock lock = lock_range(exclusive ? F_WRLCK : F_RDLCK, offset, count);
    return fcntl(descriptor, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

void csystem_unlock(int descriptor) {
    struct flock lock = lock_range(F_UNLCK, 0, 0);
    (void)fcntl(descriptor, F_OFD_SETLK, &lock);
}

int csystem_is_locked(int descriptor, uint64_t offset, uint64_t count) {
    struct flock lock = lock_range(F_WRLCK, offset, count);
    if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0) return -errno;
    return lock.l_type != F_UNLCK;
}

int csystem_rename_exclusively(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

static int open_beneath(int folder, const char *name, uint64_t flags) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long descriptor;
    do {
        // EAGAIN: something was renamed while the name was followed.
        descriptor = syscall(SYS_openat2, folder, name, &how, sizeof how);
    } while (descriptor < 0 && (errno == EINTR || errno == EAGAIN));
    return descriptor < 0 ? -errno : (int)descriptor;
}

int csystem_open_beneath(int folder, const char *name) {
    return open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

int csystem_find_beneath(int folder, const char *name, int follow) {
    return open_beneath(folder, name, O_PATH | (follow ? 0 : O_NOFOLLOW));
}

const char *csystem_describe_error(int error, char *buffer, size_t count) {
    return strerror_r(error, buffer, count);
}
