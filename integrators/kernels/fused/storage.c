// Elements in memory and as numbers to compute with. Everything is branch-free, so that loops over
// it are vectorised; numbers are rounded to the nearest, ties to even.

typedef uint16_t bfloat16;
typedef uint16_t float16;

static inline uint32_t bits_of(float value) {
    union { float value; uint32_t bits; } both = { value };
    return both.bits;
}

static inline float of_bits(uint32_t bits) {
    union { uint32_t bits; float value; } both = { bits };
    return both.value;
}

static inline double load_float64(double stored) { return stored; }
static inline float load_float32(float stored) { return stored; }
static inline float load_bfloat16(bfloat16 stored) { return of_bits((uint32_t)stored << 16); }

static inline float load_float16(float16 stored) {
    const uint32_t magnitude = (uint32_t)(stored & 0x7FFF) << 13;
    const uint32_t ordinary = bits_of(of_bits(magnitude) * 0x1p112f);  // right for subnormals too
    const uint32_t special = magnitude | 0x7F800000u;  // infinities and NaN
    return of_bits((magnitude >= 0x0F800000u ? special : ordinary)
                   | (uint32_t)(stored & 0x8000) << 16);
}

static inline double store_float64(double value) { return value; }
static inline float store_float32(float value) { return value; }

static inline bfloat16 store_bfloat16(float value) {
    const uint32_t u = bits_of(value);
    const uint32_t nearest = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;
    return (bfloat16)((u & 0x7FFFFFFFu) > 0x7F800000u ? (u >> 16 | 0x40u) : nearest);
}

static inline float16 store_float16(float value) {
    const uint32_t sign = bits_of(value) >> 16 & 0x8000u, u = bits_of(value) & 0x7FFFFFFFu;
    const uint32_t normal = (u - 0x38000000u + 0x0FFFu + (u >> 13 & 1u)) >> 13;
    const uint32_t small = bits_of(of_bits(u) + 0.5f) - 0x3F000000u;  // below 2⁻¹⁴: a sum rounds
    const uint32_t finite = u < 0x38800000u ? small : normal;
    const uint32_t infinite = u > 0x7F800000u ? 0x7E00u : 0x7C00u;
    return (float16)(sign | (u >= 0x477FF000u ? infinite : finite));
}

// to bfloat16 by 16 random bits
static inline bfloat16 rounded_bfloat16(float value, uint32_t bits) {
    const uint32_t u = bits_of(value);
    const uint32_t special = (u & 0x7FFFFFFFu) > 0x7F800000u ? (u >> 16 | 0x40u) : u >> 16;
    return (bfloat16)((u & 0x7F800000u) == 0x7F800000u ? special : (u + bits) >> 16);
}
