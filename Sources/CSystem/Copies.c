#include "CSystem.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/xattr.h>

int csystem_clone(int from, int to) {
    int status;
    do {
        status = ioctl(to, FICLONE, from);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

static const char access_list[] = "system.posix_acl_access";

// The process may not, or the file system has nothing of the kind.
static int may_be_left_out(int error) {
    return error == EPERM || error == EACCES || error == EOPNOTSUPP;
}

static int copy_attribute(int from, int to, const char *name, void *value) {
    ssize_t count = fgetxattr(from, name, value, XATTR_SIZE_MAX);
    if (count < 0) return errno == ENODATA || may_be_left_out(errno) ? 0 : errno;
    if (fsetxattr(to, name, value, (size_t)count, 0) == 0) return 0;
    return may_be_left_out(errno) ? 0 : errno;
}

static int copy_attributes(int from, int to, char *names, void *value) {
    ssize_t count = flistxattr(from, names, XATTR_LIST_MAX);
    if (count < 0) return may_be_left_out(errno) ? 0 : errno;
    int has_access_list = 0;
    for (char *name = names; name < names + count; name += strlen(name) + 1) {
        int error = copy_attribute(from, to, name, value);
        if (error != 0) return error;
        if (strcmp(name, access_list) == 0) has_access_list = 1;
    }
    // A new file may have got one from its folder.
    if (has_access_list || fremovexattr(to, access_list) == 0 || errno == ENODATA) return 0;
    return may_be_left_out(errno) ? 0 : errno;
}

int csystem_copy_extended_attributes(int from, int to) {
    char *names = malloc(XATTR_LIST_MAX);
    void *value = malloc(XATTR_SIZE_MAX);
    int error = names == NULL || value == NULL ? ENOMEM : copy_attributes(from, to, names, value);
    free(value);
    free(names);
    return error;
}
