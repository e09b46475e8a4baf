/* Philox4x64-10 (Salmon, Moraes, Dror, Shaw 2011) and Box–Muller.

   A number depends on the seed, trajectory, coordinate, tick, channel and place k alone:
       key = (seed, 0),  counter = (trajectory / 4, coordinate, tick, 256 channel + k),
   word trajectory % 4 of the block. Elementary functions are written out in plain arithmetic, so
   that a number does not depend on where in a vector, block or batch it is computed. */

#include <float.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD < 0 || FLT_EVAL_METHOD == 2 /* 16, on some processors, is about halves only */
#error "double arithmetic is rounded later than it should be"
#endif

enum { ROUNDS = 10, BLOCKS = 64 }; /* blocks made at once: they stay in the first cache */

static void multiply(uint64_t a, uint64_t b, uint64_t *high, uint64_t *low) {
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)a * b;
    *high = (uint64_t)(product >> 64);
    *low = (uint64_t)product;
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t low_low = a0 * b0, cross = a1 * b0 + (low_low >> 32), other = a0 * b1 + (uint32_t)cross;
    *high = a1 * b1 + (cross >> 32) + (other >> 32);
    *low = a * b;
#endif
}

static void philox(uint64_t seed, uint64_t c0, uint64_t c1, uint64_t c2, uint64_t c3,
                   uint64_t *w0, uint64_t *w1, uint64_t *w2, uint64_t *w3) {
    uint64_t k0 = seed, k1 = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t high0, low0, high1, low1;
        multiply(UINT64_C(0xD2E7470EE14C6C93), c0, &high0, &low0);
        multiply(UINT64_C(0xCA5A826395121157), c2, &high1, &low1);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += UINT64_C(0x9E3779B97F4A7C15);
        k1 += UINT64_C(0xBB67AE8584CAA73B);
    }
    *w0 = c0, *w1 = c1, *w2 = c2, *w3 = c3;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* An integer below 2^53, exactly, by operations that every vector unit has. */
static double exact(uint64_t integer) {
    const uint64_t magic = UINT64_C(0x4330000000000000); /* 2^52 */
    double high = as_double((integer >> 32) | magic) - 0x1p52;
    double low = as_double((integer & UINT64_C(0xFFFFFFFF)) | magic) - 0x1p52;
    return high * 0x1p32 + low;
}

/* log y for y in [2^-53, 1]: y = 2^e m with m in [√½, √2), log m by the series of atanh. */
static double logarithm(double y) {
    const uint64_t root = UINT64_C(0x3FE6A09E667F3BCD), one = UINT64_C(0x3FF0000000000000);
    uint64_t shifted = as_bits(y) + (one - root);
    double e = as_double((shifted >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023);
    double m = as_double((shifted & UINT64_C(0x000FFFFFFFFFFFFF)) + root);
    double f = m - 1, s = f / (2 + f), w = s * s, half = 0.5 * f * f;
    double r = 2.0 / 23;
    r = r * w + 2.0 / 21;
    r = r * w + 2.0 / 19;
    r = r * w + 2.0 / 17;
    r = r * w + 2.0 / 15;
    r = r * w + 2.0 / 13;
    r = r * w + 2.0 / 11;
    r = r * w + 2.0 / 9;
    r = r * w + 2.0 / 7;
    r = r * w + 2.0 / 5;
    r = (r * w + 2.0 / 3) * w;
    /* ln 2 in two pieces, the first with 32 bits, so that e times it is exact */
    return e * 0x1.62e42feep-1 - ((half - (s * (half + r) + e * 0x1.a39ef35793c76p-33)) - f);
}

static double sine(double t) {
    double w = t * t, r = 1.0 / 355687428096000;
    r = r * w - 1.0 / 1307674368000;
    r = r * w + 1.0 / 6227020800;
    r = r * w - 1.0 / 39916800;
    r = r * w + 1.0 / 362880;
    r = r * w - 1.0 / 5040;
    r = r * w + 1.0 / 120;
    r = r * w - 1.0 / 6;
    return t + t * (w * r);
}

static double cosine(double t) {
    double w = t * t, r = 1.0 / 20922789888000;
    r = r * w - 1.0 / 87178291200;
    r = r * w + 1.0 / 479001600;
    r = r * w - 1.0 / 3628800;
    r = r * w + 1.0 / 40320;
    r = r * w - 1.0 / 720;
    r = r * w + 1.0 / 24;
    double half = 0.5 * w, c = 1 - half;
    return c + ((1 - c - half) + w * w * r);
}

/* Two normal numbers from two words: √(−2 log(1 − u)) times cos and sin of 2πv. The angle is
   reduced to an octant by its bits, so that both are accurate relative to themselves. */
static void box_muller(const uint64_t *radius, const uint64_t *angle, double *first, double *second) {
    for (int i = 0; i < BLOCKS; i++) {
        double y = (0x1p53 - exact(radius[i] >> 11)) * 0x1p-53;
        double r = __builtin_sqrt(-2 * logarithm(y));
        uint64_t octant = angle[i] >> 61, within = (angle[i] >> 11) & ((UINT64_C(1) << 50) - 1);
        uint64_t odd = 0 - (octant & 1), quarters = (octant + 1) >> 1;
        uint64_t steps = (odd & ((UINT64_C(1) << 50) - within)) | (~odd & within);
        double t = exact(steps) * (0x1.921fb54442d18p-1 * 0x1p-50);
        uint64_t c = as_bits(cosine(t)), s = as_bits(sine(t)) ^ (octant << 63);
        uint64_t swap = 0 - (quarters & 1);
        uint64_t x = (swap & s) | (~swap & c), z = (swap & c) | (~swap & s);
        first[i] = r * as_double(x ^ (((quarters + 1) >> 1) << 63));
        second[i] = r * as_double(z ^ ((quarters >> 1) << 63));
    }
}

static void uniform(const uint64_t *words, double *out) {
    for (int i = 0; i < BLOCKS; i++) out[i] = exact(words[i] >> 11) * 0x1p-53;
}

/* out[n][k][coordinate][trajectory − first] of tick + n·stride, for n < ticks and trajectories
   first .. first + trajectories − 1. All blocks stand in one row and are made 64 at a time. */
static void fill(int normal, uint64_t seed, uint64_t first, uint64_t tick, int64_t ticks,
                 uint64_t stride, uint64_t channel, int64_t count, int64_t coordinates,
                 int64_t trajectories, double *out) {
    uint64_t w[4][BLOCKS] = {{0}};
    double z[4][BLOCKS];
    uint64_t last = first + (uint64_t)trajectories, begin = first / 4;
    int64_t width = (int64_t)((last + 3) / 4 - begin), total = ticks * count * coordinates * width;
    int64_t row = 0, column = 0; /* of the next block to be stored */
    uint64_t j = 0, coordinate = 0, place = channel * 256; /* of the next block to be made */
    for (int64_t done = 0; done < total; done += BLOCKS) {
        int blocks = total - done < BLOCKS ? (int)(total - done) : BLOCKS;
        for (int i = 0; i < blocks; i++) {
            philox(seed, begin + j, coordinate, tick, place,
                   &w[0][i], &w[1][i], &w[2][i], &w[3][i]);
            if (++j < (uint64_t)width) continue;
            j = 0;
            if (++coordinate < (uint64_t)coordinates) continue;
            coordinate = 0;
            if (++place < channel * 256 + (uint64_t)count) continue;
            place = channel * 256, tick += stride;
        }
        if (normal) {
            box_muller(w[0], w[1], z[0], z[1]);
            box_muller(w[2], w[3], z[2], z[3]);
        } else
            for (int word = 0; word < 4; word++) uniform(w[word], z[word]);
        for (int i = 0; i < blocks; i++) {
            uint64_t n = (begin + (uint64_t)column) * 4;
            double *to = out + row * trajectories;
            if (n >= first && n + 4 <= last)
                for (int word = 0; word < 4; word++) to[n - first + (uint64_t)word] = z[word][i];
            else
                for (int word = 0; word < 4; word++, n++)
                    if (n >= first && n < last) to[n - first] = z[word][i];
            if (++column == width) column = 0, row++;
        }
    }
}

void normals(uint64_t seed, uint64_t first, uint64_t tick, uint64_t channel, int64_t count,
             int64_t coordinates, int64_t trajectories, double *out) {
    fill(1, seed, first, tick, 1, 0, channel, count, coordinates, trajectories, out);
}

void uniforms(uint64_t seed, uint64_t first, uint64_t tick, uint64_t channel, int64_t count,
              int64_t coordinates, int64_t trajectories, double *out) {
    fill(0, seed, first, tick, 1, 0, channel, count, coordinates, trajectories, out);
}
