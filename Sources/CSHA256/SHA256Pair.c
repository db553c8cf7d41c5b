#include "CSHA256.h"

#include <string.h>

// What both forms of the kernel share: the constants, and the end of a message.

// The numbers of [FIPS 180-4] 4.2.2.
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

// The initial hash value, [FIPS 180-4] 5.3.3.
static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

enum { block_size = 64, length_size = 8 };

// The blocks that end a message: what is left of it, and its padding, [FIPS 180-4] 5.1.1.
static size_t last_blocks(const uint8_t *message, size_t count, uint8_t blocks[2 * block_size]) {
    size_t left = count % block_size;
    size_t size = left + 1 + length_size <= block_size ? block_size : 2 * block_size;
    memset(blocks, 0, size);
    if (left > 0) memcpy(blocks, message + (count - left), left);
    blocks[left] = 0x80;
    uint64_t bits = (uint64_t)count * 8;
    for (size_t index = 0; index < length_size; index++) {
        blocks[size - 1 - index] = (uint8_t)(bits >> (8 * index));
    }
    return size / block_size;
}

static void store_digest(const uint32_t state[8], uint8_t *digest) {
    for (size_t word = 0; word < 8; word++) {
        for (size_t byte = 0; byte < 4; byte++) {
            digest[4 * word + byte] = (uint8_t)(state[word] >> (24 - 8 * byte));
        }
    }
}

int csha256_is_optimized(void) {
#ifdef __OPTIMIZE__
    return 1;
#else
    return 0;
#endif
}

static void compress_pair(uint32_t states[2][8], const uint8_t *first, const uint8_t *second,
                          size_t block_count);

void csha256_pair(const void *first, const void *second, size_t count, uint8_t digests[64]) {
    uint32_t states[2][8];
    memcpy(states[0], initial_state, sizeof initial_state);
    memcpy(states[1], initial_state, sizeof initial_state);
    compress_pair(states, first, second, count / block_size);

    uint8_t ends[2][2 * block_size];
    size_t end_count = last_blocks(first, count, ends[0]);
    last_blocks(second, count, ends[1]);
    compress_pair(states, ends[0], ends[1], end_count);

    store_digest(states[0], digests);
    store_digest(states[1], digests + 32);
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

int csha256_has_pair(void) {
    unsigned int a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) ? 1 : 0;
}

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))
#define SHA_INLINE SHA_TARGET static inline __attribute__((always_inline))

typedef __m128i vector;

// One message on its way: its state as the instructions want it, ABEF and CDGH, and the 16 words in use
// of its schedule.
struct lane {
    vector state[2], words[4];
};

SHA_INLINE vector sum(vector one, vector other) { return _mm_add_epi32(one, other); }

SHA_INLINE void load_state(struct lane *lane, const uint32_t state[8]) {
    vector dcba = _mm_loadu_si128((const vector *)state);
    vector hgfe = _mm_loadu_si128((const vector *)(state + 4));
    vector cdab = _mm_shuffle_epi32(dcba, 0xB1);
    vector efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    lane->state[0] = _mm_alignr_epi8(cdab, efgh, 8);
    lane->state[1] = _mm_blend_epi16(efgh, cdab, 0xF0);
}

SHA_INLINE void store_state(const struct lane *lane, uint32_t state[8]) {
    vector feba = _mm_shuffle_epi32(lane->state[0], 0x1B);
    vector dchg = _mm_shuffle_epi32(lane->state[1], 0xB1);
    _mm_storeu_si128((vector *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((vector *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// The words of a block are big-endian.
SHA_INLINE vector load_words(const uint8_t *bytes) {
    const vector swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const vector *)bytes), swap);
}

// Four rounds, and the four words that are needed sixteen rounds later.
SHA_INLINE void four_rounds(struct lane *lane, int group) {
    vector words = lane->words[group % 4];
    vector input = sum(words, _mm_load_si128((const vector *)round_constants + group));
    vector abef = lane->state[0];
    lane->state[1] = _mm_sha256rnds2_epu32(lane->state[1], abef, input);
    lane->state[0] =
        _mm_sha256rnds2_epu32(abef, lane->state[1], _mm_shuffle_epi32(input, 0x0E));
    if (group >= 12) return;
    vector last = lane->words[(group + 3) % 4];
    vector seventh = _mm_alignr_epi8(last, lane->words[(group + 2) % 4], 4);
    words = _mm_sha256msg1_epu32(words, lane->words[(group + 1) % 4]);
    lane->words[group % 4] = _mm_sha256msg2_epu32(sum(words, seventh), last);
}

#elif defined(__aarch64__)

#include <arm_neon.h>
#include <sys/auxv.h>

#ifndef HWCAP_SHA2
#define HWCAP_SHA2 (1 << 6)
#endif

int csha256_has_pair(void) { return getauxval(AT_HWCAP) & HWCAP_SHA2 ? 1 : 0; }

#define SHA_TARGET __attribute__((target("sha2")))
#define SHA_INLINE SHA_TARGET static inline __attribute__((always_inline))

typedef uint32x4_t vector;

// One message on its way: its state, ABCD and EFGH, and the 16 words in use of its schedule.
struct lane {
    vector state[2], words[4];
};

SHA_INLINE vector sum(vector one, vector other) { return vaddq_u32(one, other); }

SHA_INLINE void load_state(struct lane *lane, const uint32_t state[8]) {
    lane->state[0] = vld1q_u32(state);
    lane->state[1] = vld1q_u32(state + 4);
}

SHA_INLINE void store_state(const struct lane *lane, uint32_t state[8]) {
    vst1q_u32(state, lane->state[0]);
    vst1q_u32(state + 4, lane->state[1]);
}

// The words of a block are big-endian.
SHA_INLINE vector load_words(const uint8_t *bytes) {
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(bytes)));
}

// Four rounds, and the four words that are needed sixteen rounds later.
SHA_INLINE void four_rounds(struct lane *lane, int group) {
    vector words = lane->words[group % 4];
    vector input = sum(words, vld1q_u32(round_constants + 4 * group));
    vector abcd = lane->state[0];
    lane->state[0] = vsha256hq_u32(abcd, lane->state[1], input);
    lane->state[1] = vsha256h2q_u32(lane->state[1], abcd, input);
    if (group >= 12) return;
    lane->words[group % 4] = vsha256su1q_u32(
        vsha256su0q_u32(words, lane->words[(group + 1) % 4]), lane->words[(group + 2) % 4],
        lane->words[(group + 3) % 4]);
}

#else

int csha256_has_pair(void) { return 0; }

#endif

#ifdef SHA_TARGET

SHA_INLINE void load_block(struct lane *lane, const uint8_t *block) {
    for (int quarter = 0; quarter < 4; quarter++) {
        lane->words[quarter] = load_words(block + 16 * quarter);
    }
}

SHA_INLINE void add_state(struct lane *lane, const struct lane *before) {
    lane->state[0] = sum(lane->state[0], before->state[0]);
    lane->state[1] = sum(lane->state[1], before->state[1]);
}

SHA_TARGET
static void compress_pair(uint32_t states[2][8], const uint8_t *first, const uint8_t *second,
                          size_t block_count) {
    struct lane one, other;
    load_state(&one, states[0]);
    load_state(&other, states[1]);
    for (size_t block = 0; block < block_count; block++) {
        struct lane one_before = one, other_before = other;
        load_block(&one, first + block * block_size);
        load_block(&other, second + block * block_size);
#pragma clang loop unroll(full)
        for (int group = 0; group < 16; group++) {
            four_rounds(&one, group);
            four_rounds(&other, group);
        }
        add_state(&one, &one_before);
        add_state(&other, &other_before);
    }
    store_state(&one, states[0]);
    store_state(&other, states[1]);
}

#else

static void compress_pair(uint32_t states[2][8], const uint8_t *first, const uint8_t *second,
                          size_t block_count) {
    (void)states;
    (void)first;
    (void)second;
    (void)block_count;
}

#endif
