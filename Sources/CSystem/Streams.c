#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int csystem_event(void) {
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return event >= 0 ? event : -errno;
}

void csystem_raise_event(int event) {
    (void)eventfd_write(event, 1);
}

int csystem_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

int csystem_accept(int listener, void *address, uint32_t *address_byte_count) {
    int descriptor = accept4(listener, address, address_byte_count, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return descriptor >= 0 ? descriptor : -errno;
}

int csystem_unconfirmed_byte_count(int socket) {
    int protocol = 0, count = 0;
    socklen_t size = sizeof protocol;
    if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) return 0;
    if (protocol != IPPROTO_TCP || ioctl(socket, SIOCOUTQ, &count) != 0) return 0;
    return count;
}

static sigset_t broken_pipe(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

struct csystem_held_signal csystem_hold_broken_pipes(void) {
    sigset_t set = broken_pipe(), pending, before;
    struct csystem_held_signal held = {0, 0};
    // One that is pending belongs to who blocked it; a second one would merge with it.
    held.was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    if (pthread_sigmask(SIG_BLOCK, &set, &before) == 0) {
        held.was_blocked = sigismember(&before, SIGPIPE) == 1;
    }
    return held;
}

void csystem_release_broken_pipes(struct csystem_held_signal held) {
    int error = errno;
    sigset_t set = broken_pipe();
    if (!held.was_pending) {
        struct timespec none = {0, 0};
        while (sigtimedwait(&set, NULL, &none) < 0 && errno == EINTR) {
        }
    }
    if (!held.was_blocked) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    errno = error;
}

static int add_descriptors(posix_spawn_file_actions_t *actions, int input, int output) {
    int error = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
    return error != 0 ? error : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
}

static int set_attributes(posix_spawnattr_t *attributes, int leads_group) {
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGCHLD);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (error != 0) return error;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    // The group is the process's own number unless another is set.
    if (leads_group) flags |= POSIX_SPAWN_SETPGROUP;
    return posix_spawnattr_setflags(attributes, flags);
}

int csystem_spawn(char *const *argv, int input, int output, int leads_group, int32_t *process) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child = 0;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = add_descriptors(&actions, input, output);
        if (error == 0) error = set_attributes(&attributes, leads_group);
        if (error == 0) error = posix_spawnp(&child, argv[0], &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    *process = child;
    return error;
}

int csystem_ended(int32_t process, int32_t *status) {
    int how = 0;
    pid_t ended;
    do {
        ended = waitpid(process, &how, WNOHANG);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0) return -errno;
    if (ended == 0) return 0;
    *status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    return 1;
}

int csystem_send_datagram(const char *name, const char *text) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof address.sun_path) return ENAMETOOLONG;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') address.sun_path[0] = 0;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent = sendto(
        descriptor, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    int error = sent < 0 ? errno : 0;
    close(descriptor);
    return error;
}
