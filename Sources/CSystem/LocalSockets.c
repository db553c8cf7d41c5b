#include "CSystem.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int make(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    // With its zero. An empty one would be a name that is no path.
    if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
    if (path[0] == 0) return -ENOENT;
    strcpy(address->sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return descriptor >= 0 ? descriptor : -errno;
}

int csystem_listen_at_path(const char *path, int waiting_connection_limit) {
    struct sockaddr_un address;
    int descriptor = make(path, &address);
    if (descriptor < 0) return descriptor;
    // The file gets the mode of the socket, unix(7), so that it never has another one.
    if (fchmod(descriptor, S_IRUSR | S_IWUSR) == 0
        && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0
        && listen(descriptor, waiting_connection_limit) == 0) {
        return descriptor;
    }
    int error = errno;
    close(descriptor);
    return -error;
}

int csystem_connect_to_path(const char *path, int timeout_milliseconds) {
    struct sockaddr_un address;
    int descriptor = make(path, &address);
    if (descriptor < 0) return descriptor;
    // It is also how long connect(2) waits.
    struct timeval timeout = {timeout_milliseconds / 1000, timeout_milliseconds % 1000 * 1000};
    int status = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (status == 0) {
        do {
            status = connect(descriptor, (struct sockaddr *)&address, sizeof address);
        } while (status != 0 && errno == EINTR);
    }
    if (status == 0) return descriptor;
    int error = errno;
    close(descriptor);
    return -error;
}

int csystem_peer_user(int socket, uint32_t *user) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return errno;
    *user = credentials.uid;
    return 0;
}

int csystem_user_name(uint32_t user, char *buffer, size_t count) {
    struct passwd entry, *found = NULL;
    size_t size = 64 << 10;
    char *room = malloc(size);
    if (room == NULL) return ENOMEM;
    int error = getpwuid_r(user, &entry, room, size, &found);
    if (error == 0 && found == NULL) error = ENOENT;
    if (error == 0 && strlen(entry.pw_name) >= count) error = ERANGE;
    if (error == 0) strcpy(buffer, entry.pw_name);
    free(room);
    return error;
}
