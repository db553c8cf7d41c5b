// SHA-256 [FIPS 180-4] of two messages at a time, with the SHA instructions of one core.
//
// A processor begins a SHA instruction every other cycle and has its result after four: one message,
// whose every step needs the last one's result, leaves half of the unit idle. Two messages of one
// length fill it.

#ifndef VHDRESYNC_CSHA256_H
#define VHDRESYNC_CSHA256_H

#include <stddef.h>
#include <stdint.h>

/// Whether this processor can: 1 or 0.
int csha256_has_pair(void);

/// Whether this library was compiled with optimization: 1 or 0. Without, the pair takes ten times as long.
int csha256_is_optimized(void);

/// The digests of two messages of `count` bytes each, 32 bytes a digest, the first message's first.
/// The messages may overlap, need no alignment, and may be null where `count` is 0.
///
/// Only where csha256_has_pair() is 1.
void csha256_pair(const void *first, const void *second, size_t count, uint8_t digests[64]);

#endif
