// Linux calls that Swift's Glibc module does not offer: it is built without _GNU_SOURCE, and it
// imports neither variadic functions nor function-like macros nor functions with global state.
//
// The functions are not inline: headers that define _GNU_SOURCE here would declare the types of
// Glibc's module a second time, differently.

#ifndef VHDRESYNC_CSYSTEM_H
#define VHDRESYNC_CSYSTEM_H

#include <stddef.h>
#include <stdint.h>

// MARK: Space in files

/// fallocate(2) with mode 0: reserves space and grows the file. 0, or an errno.
int csystem_allocate(int descriptor, uint64_t offset, uint64_t count);

/// fallocate(2): gives the range back to the file system; it reads as zeros. 0, or an errno.
int csystem_punch_hole(int descriptor, uint64_t offset, uint64_t count);

/// fallocate(2): the range reads as zeros and stays reserved. 0, or an errno.
int csystem_zero_range(int descriptor, uint64_t offset, uint64_t count);

/// sync_file_range(2): the system begins to write the file to the device, and does not wait. A hint.
void csystem_start_writing(int descriptor);

/// lseek(2) with SEEK_DATA: the first byte at or after `offset` that may hold data, or -1.
int64_t csystem_seek_data(int descriptor, uint64_t offset);

/// lseek(2) with SEEK_HOLE: the first byte at or after `offset` that lies in a hole, or -1.
int64_t csystem_seek_hole(int descriptor, uint64_t offset);

/// Whether the file lies on a file system where files share content, and where FIEMAP gives the same
/// addresses for it: 1 or 0.
int csystem_has_common_places(int descriptor);

/// A run of bytes of a file, with the flags of FIEMAP.
struct csystem_extent {
    uint64_t offset;
    /// Where the file system has it.
    uint64_t place;
    uint64_t count;
    uint32_t flags;
};

/// ioctl(2) with FS_IOC_FIEMAP, after all of the file was written to its device: the extents of a range
/// from its start on, of which `capacity` are told at most. How many, or a negative errno.
int csystem_extents(
    int descriptor, uint64_t offset, uint64_t count, struct csystem_extent *extents, uint32_t capacity
);

// MARK: The page cache

/// Bytes in a page of memory.
uint64_t csystem_page_byte_count(void);

/// Which pages of a range, which starts with a page, are in the page cache: 1 or 0 for each in `pages`.
/// 0, or an errno: EPERM where the system does not tell this process of somebody else's file.
int csystem_cached_pages(int descriptor, uint64_t offset, uint64_t page_count, uint8_t *pages);

/// posix_fadvise(2) with POSIX_FADV_DONTNEED: the system forgets the clean pages that lie wholly in the
/// range, and begins to write the others. A hint.
void csystem_drop_cache(int descriptor, uint64_t offset, uint64_t count);

// MARK: Files in memory

/// From now on a page of a mapped file that cannot be read, because the file was cut or the device fails,
/// reads as zeros, and so does all behind it, and the mapping is not intact; without this it would raise
/// SIGBUS, which ends the process. The handler is the process's; what it has no answer for goes to the one
/// before. 0, or an errno.
int csystem_guard_mappings(void);

/// Whether the file lies on a file system that is known to keep one copy of a page for all who read and
/// write the file, and that takes no space where a hole is read.
int csystem_keeps_pages(int descriptor);

/// mmap(2): a whole file in memory for reading, shared and aligned to 2 MiB. The mapping's number, and
/// where it lies; or a negative errno: -EPERM without the guard.
int csystem_map(int descriptor, uint64_t count, const void **start);

/// Whether no page of a mapping was replaced by zeros so far.
int csystem_mapping_is_usable(int mapping);

/// The same, and whether the file still has all bytes that it had: all that was looked at was the file's.
int csystem_mapping_is_intact(int mapping);

/// munmap(2). The number is given again.
void csystem_unmap(int mapping);

/// madvise(2) with MADV_DONTNEED: the process no longer holds these pages.
void csystem_give_back_pages(const void *start, size_t count);

// MARK: Copies of files

/// ioctl(2) with FICLONE: `to` shares all content of `from`. 0, or an errno.
int csystem_clone(int from, int to);

/// Gives `to` the extended attributes of `from`, access lists among them, and no other access list.
/// Leaves out those that the process may not set. 0, or an errno.
int csystem_copy_extended_attributes(int from, int to);

// MARK: Locks of the open file description

/// Takes a lock without waiting; `count` 0 reaches to the end of the file. 0, or an errno.
int csystem_lock(int descriptor, int exclusive, uint64_t offset, uint64_t count);

/// Gives up all locks, also those that a process shares since a fork.
void csystem_unlock(int descriptor);

/// Whether another open file description holds any lock in the range: 1 or 0, or a negative errno.
int csystem_is_locked(int descriptor, uint64_t offset, uint64_t count);

// MARK: Names and errors

/// renameat2(2) that fails with EEXIST where `to` exists. 0, or an errno.
int csystem_rename_exclusively(const char *from, const char *to);

/// openat2(2) with O_RDONLY that stays beneath the folder: neither `..` nor a symbolic link leads out
/// of it, and none of /proc is followed. A descriptor, or a negative errno.
int csystem_open_beneath(int folder, const char *name);

/// openat2(2) with O_PATH that stays beneath the folder, as above: neither read nor written, the file
/// need not be readable. Where the last name is a symbolic link and is not followed, of the link
/// itself. A descriptor, or a negative errno.
int csystem_find_beneath(int folder, const char *name, int follow);

/// The text of an errno, ended by a zero, in `buffer`; a static text where that is enough.
const char *csystem_describe_error(int error, char *buffer, size_t count);

// MARK: Checksums

/// Whether `csystem_crc32c` has the processor's instructions: without them it must not be called.
int csystem_has_crc32c(void);

/// CRC-32C without the final inversion, from the value of the bytes before.
uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t count);

// MARK: Streams and programs

/// eventfd(2), non-blocking and closed by exec: a descriptor that wakes who polls it. Or a negative
/// errno.
int csystem_event(void);

/// Makes the event readable for good.
void csystem_raise_event(int event);

/// pipe2(2), closed by exec: 0, or an errno.
int csystem_pipe(int *reading, int *writing);

/// accept4(2), non-blocking and closed by exec: a descriptor, or a negative errno.
int csystem_accept(int listener, void *address, uint32_t *address_byte_count);

/// A socket of the Unix family that others can connect to by this path, which is made, for its user
/// alone; closed by exec. A descriptor, or a negative errno: -ENAMETOOLONG where no address holds the
/// path.
int csystem_listen_at_path(const char *path, int waiting_connection_limit);

/// Connects to such a socket, and waits for so many milliseconds where too many others do. A
/// descriptor, or a negative errno.
int csystem_connect_to_path(const char *path, int timeout_milliseconds);

/// SO_PEERCRED: the user who has connected to the other end of a Unix socket. 0, or an errno.
int csystem_peer_user(int socket, uint32_t *user);

/// getpwuid_r(3): the name of a user, ended by a zero, in `buffer`. 0, or an errno: ENOENT for none.
int csystem_user_name(uint32_t user, char *buffer, size_t count);

/// Bytes that were sent on a TCP socket and that the other side's system has not confirmed, the end
/// of the stream among them; 0 for any other descriptor.
int csystem_unconfirmed_byte_count(int socket);

/// What a thread has to put back after `csystem_hold_broken_pipes`.
struct csystem_held_signal {
    int was_blocked;
    int was_pending;
};

/// Keeps SIGPIPE, which a write to a closed pipe raises, from this thread.
struct csystem_held_signal csystem_hold_broken_pipes(void);

/// Takes the SIGPIPE away that came meanwhile, and lets new ones through as before.
void csystem_release_broken_pipes(struct csystem_held_signal held);

/// posix_spawnp(3) with these two descriptors as standard input and output, no signal blocked, and
/// SIGPIPE and SIGCHLD as by default; in a process group of its own if `leads_group`. 0 and the process,
/// or an errno.
int csystem_spawn(char *const *argv, int input, int output, int leads_group, int32_t *process);

/// waitpid(2) without waiting: 1 where the process ended, with its exit status, or 128 and the
/// number of the signal that ended it; 0 where it runs; a negative errno.
int csystem_ended(int32_t process, int32_t *status);

/// Sends a text as a datagram to a socket of the file system, or, where the name starts with `@`, of the
/// abstract names, and waits for nothing. 0, or an errno.
int csystem_send_datagram(const char *name, const char *text);

// MARK: The process

/// sched_getaffinity(2): how many processors the calling thread may run on; 0 where that is not known.
int csystem_affinity_count(void);

/// The beginning of a small file, of those that the system makes up. How many bytes, or -1.
int64_t csystem_read_text(const char *path, char *buffer, size_t capacity);

/// A long option. Its short form, where it has one, stands in `short_options` as the same letter.
struct csystem_long_option {
    const char *name;
    int takes_argument;
    int value;
};

/// One step of getopt_long(3), without its global variables.
struct csystem_parsed_option {
    /// The value of the option; -1 after the last, '?' for an unknown one, ':' where its argument
    /// is missing.
    int value;
    /// The argument of the option, or null.
    const char *argument;
    /// Index in argv of the next argument to look at.
    int next_index;
};

/// Moves all arguments that are no options to the end of `argv`. At most 64 long options.
struct csystem_parsed_option csystem_next_option(
    int argc, char *const *argv, const char *short_options,
    const struct csystem_long_option *long_options, int long_option_count);

/// Makes the next `csystem_next_option` start with the first argument of a new `argv`.
void csystem_reset_options(void);

/// Columns of the terminal behind `descriptor`, or 0 where that is no terminal.
int csystem_terminal_width(int descriptor);

#endif
