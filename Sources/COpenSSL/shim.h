#ifndef VHDRESYNC_COPENSSL_H
#define VHDRESYNC_COPENSSL_H

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Macros of OpenSSL that Swift does not import, as functions.

/// TLS 1.3 and nothing else. 1, or 0.
static inline int copenssl_allow_only_tls13(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}

/// A write may take a part, and go on from another address; reads take what the socket has, at most so
/// many bytes at once.
static inline void copenssl_set_modes(SSL_CTX *context, size_t read_byte_count) {
    SSL_CTX_set_default_read_buffer_len(context, read_byte_count);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_read_ahead(context, 1);
}

/// The name that the client asks for. 1, or 0.
static inline int copenssl_ask_for_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

/// A subject on one line as RFC 2253 has it. Not negative on success.
static inline int copenssl_print_subject(BIO *out, const X509 *certificate) {
    return X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
}

/// What was written to a BIO in memory.
static inline long copenssl_memory(BIO *bio, char **start) {
    return BIO_get_mem_data(bio, start);
}

/// Whether an error is an errno, which its reason then is.
static inline int copenssl_is_system_error(unsigned long error) {
    return ERR_SYSTEM_ERROR(error);
}

// MARK: Sockets

// OpenSSL's own BIO of a socket writes in a way that may raise SIGPIPE.

static int copenssl_socket_write(BIO *bio, const char *bytes, int count) {
    int socket = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int written = (int)send(socket, bytes, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return written;
}

static int copenssl_socket_read(BIO *bio, char *bytes, int count) {
    int socket = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int read = (int)recv(socket, bytes, (size_t)count, MSG_DONTWAIT);
    if (read < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    if (read == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return read;
}

static long copenssl_socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH;
}

/// How a TLS session reads and writes a socket that it does not own: never waiting, and without
/// SIGPIPE. Once for the process; null without memory.
static inline BIO_METHOD *copenssl_make_socket_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (method == NULL) return NULL;
    BIO_meth_set_write(method, copenssl_socket_write);
    BIO_meth_set_read(method, copenssl_socket_read);
    BIO_meth_set_ctrl(method, copenssl_socket_control);
    return method;
}

/// Gives a session its socket. 1, or 0 without memory.
static inline int copenssl_set_socket(SSL *ssl, const BIO_METHOD *method, int socket) {
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, (void *)(intptr_t)socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 1;
}

#endif
