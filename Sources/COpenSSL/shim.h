#ifndef VHDRESYNC_COPENSSL_H
#define VHDRESYNC_COPENSSL_H

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

/// A write may take a part, and go on from another address; reads take what the socket has.
static inline void copenssl_set_modes(SSL_CTX *context) {
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

#endif
