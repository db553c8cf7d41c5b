#include "CSystem.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

int csystem_has_common_places(int descriptor) {
    struct statfs volume;
    if (fstatfs(descriptor, &volume) != 0) return 0;
    if (volume.f_type != XFS_SUPER_MAGIC && volume.f_type != BTRFS_SUPER_MAGIC) return 0;
    // On XFS a file may lie on a second device, which counts its bytes from 0 too.
    struct fsxattr attributes;
    if (ioctl(descriptor, FS_IOC_FSGETXATTR, &attributes) != 0) return 0;
    return (attributes.fsx_xflags & FS_XFLAG_REALTIME) == 0;
}

int csystem_extents(
    int descriptor, uint64_t offset, uint64_t count, struct csystem_extent *extents, uint32_t capacity
) {
    struct fiemap *map = calloc(1, sizeof *map + capacity * sizeof map->fm_extents[0]);
    if (map == NULL) return -ENOMEM;
    map->fm_start = offset;
    map->fm_length = count;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = capacity;
    int result = ioctl(descriptor, FS_IOC_FIEMAP, map) == 0 ? 0 : -errno;
    if (result == 0) {
        uint32_t found = map->fm_mapped_extents < capacity ? map->fm_mapped_extents : capacity;
        for (uint32_t index = 0; index < found; index++) {
            const struct fiemap_extent *extent = &map->fm_extents[index];
            extents[index].offset = extent->fe_logical;
            extents[index].place = extent->fe_physical;
            extents[index].count = extent->fe_length;
            extents[index].flags = extent->fe_flags;
        }
        result = (int)found;
    }
    free(map);
    return result;
}
