#ifndef VHDRESYNC_COPENSSL_H
#define VHDRESYNC_COPENSSL_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#endif
