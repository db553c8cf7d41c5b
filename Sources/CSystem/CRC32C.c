#include "CSystem.h"

#if defined(__x86_64__)

#include <nmmintrin.h>
#include <string.h>

int csystem_has_crc32c(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2")))
uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    uint64_t value = crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        value = _mm_crc32_u64(value, word);
    }
    for (; count > 0; count -= 1, next += 1) {
        value = _mm_crc32_u8((uint32_t)value, *next);
    }
    return (uint32_t)value;
}

#else

int csystem_has_crc32c(void) { return 0; }

uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return crc;
}

#endif
