/* The element functions of a kernel: d_NAME takes and gives doubles, s_NAME floats, with the meaning
   of dashpot.dynamics.elements.

   Plain arithmetic without branches: a compiler turns loops of it into vectors, and a value does
   not depend on its place in a vector or block. To be compiled with -ffp-contract=off (where an
   FMA is meant, it is written) and -fno-trapping-math (so that choices can be vectorised).

   Arguments are reduced by Cody and Waite (1980); where a result may be small, what is lost in its
   large sum is found exactly (Dekker 1971) and added to its small rest; polynomials are minimax
   (Remez) to the error named beside them, evaluated in pairs (Estrin 1960). Greatest errors, in
   ulps of the result, subnormal results included:

       log log1p sin cos   0.9     exp expm1   1     tanh   1.5     phi1 soft_cap   2
       tanh_gap   4

   without FMA exp 1.3; sin and cos for |x| <= 2^20, see d_turn for what is beyond. pow is the
   library's. */

#include <float.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD < 0 || FLT_EVAL_METHOD == 2 /* 16, on some processors, is about halves only */
#error "arithmetic is rounded later than it should be"
#endif

#define INFINITE __builtin_inff()
#define NONE __builtin_nanf("")
#ifdef INLINED /* all of them, always: a loop with a call left in it is not turned into vectors */
#define FUNCTION static inline __attribute__((unused, always_inline))
#else
#define FUNCTION static inline __attribute__((unused))
#endif

#if defined __FMA__ || defined __ARM_FEATURE_FMA
#define HAVE_FMA
FUNCTION double d_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
FUNCTION float s_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
FUNCTION double d_fma(double a, double b, double c) { return a * b + c; }
FUNCTION float s_fma(float a, float b, float c) { return a * b + c; }
#endif

/* A choice is made between two numbers that are both there: what is not chosen leaves no trace. */
#define OF_BITS(p, T, U, f)                                                                        \
    FUNCTION U p##bits(T value) {                                                                  \
        U bits;                                                                                    \
        memcpy(&bits, &value, sizeof bits);                                                        \
        return bits;                                                                               \
    }                                                                                              \
    FUNCTION T p##of(U bits) {                                                                     \
        T value;                                                                                   \
        memcpy(&value, &bits, sizeof value);                                                       \
        return value;                                                                              \
    }                                                                                              \
    FUNCTION T p##choose(int test, T a, T b) { return test ? a : b; }                              \
    FUNCTION T p##abs(T x) { return __builtin_fabs##f(x); }                                        \
    FUNCTION T p##turned(T y, T x) { return y * __builtin_copysign##f(1, x); } /* −y for x < 0 */

OF_BITS(d_, double, uint64_t, )
OF_BITS(s_, float, uint32_t, f)

/* --- exponentials ------------------------------------------------------------------------------

   x = n ln 2 + r with whole n and |r| <= ln 2 / 2. The two pieces of ln 2 are so short that n times
   the first is exact. n is found by adding 1.5·2^52, and stays in the last bits of that sum. */

#define D_WHOLE 0x1.8p52 /* x + it − it: the whole number nearest to x */
#define S_WHOLE 0x1.8p23f
#define D_ONE UINT64_C(0x3FF0000000000000) /* the bits of 1 */
#define S_ONE 0x3F800000u

/* 2ⁿ (1 + r (1 + r q)): of the two halves of 2ⁿ, the last overflows or rounds to a subnormal one.
   q = (eʳ − 1 − r)/r² to 2^-56.4 of eʳ. */
FUNCTION double d_exp(double x) {
    double shifted = d_fma(x, 0x1.71547652b82fep+0, D_WHOLE), n = shifted - D_WHOLE;
    double r = d_fma(n, -0x1.a39ef35793c76p-33, d_fma(n, -0x1.62e42feep-1, x));
    double a = d_fma(r, 0x1.55555555554fap-3, 0x1.000000000000ap-1);
    double b = d_fma(r, 0x1.1111111127c74p-7, 0x1.555555555085fp-5);
    double c = d_fma(r, 0x1.a01a012a34fd5p-13, 0x1.6c16c18430fc7p-10);
    double d = d_fma(r, 0x1.71df2580c9e92p-19, 0x1.a01999f8875a7p-16);
    double e = d_fma(r, 0x1.ad7f5732797bdp-26, 0x1.28ad860f14103p-22), r2 = r * r, r4 = r2 * r2;
    double q = d_fma(r4, d_fma(r4, e, d_fma(r2, d, c)), d_fma(r2, b, a));
    uint64_t half = d_bits(shifted) >> 1, other = d_bits(shifted) - half;
    double power = d_of((half << 52) + D_ONE), y = d_fma(d_fma(r, q, 1), r * power, power);
    y = y * d_of((other << 52) + D_ONE);
    return d_choose(x > 710, INFINITE, d_choose(x < -746, 0, y));
}

/* q to 2^-28 */
FUNCTION float s_exp(float x) {
    float shifted = s_fma(x, 0x1.715476p+0f, S_WHOLE), n = shifted - S_WHOLE;
    float r = s_fma(n, -0x1.7f7d1cp-20f, s_fma(n, -0x1.62e4p-1f, x)), r2 = r * r;
    float a = s_fma(r, 0x1.555492p-3f, 0x1.fffffcp-2f), b = s_fma(r, 0x1.123ap-7f, 0x1.5558f2p-5f);
    float q = s_fma(r2, s_fma(r2, 0x1.6a2402p-10f, b), a);
    uint32_t half = s_bits(shifted) >> 1, other = s_bits(shifted) - half;
    float power = s_of((half << 23) + S_ONE), y = s_fma(s_fma(r, q, 1), r * power, power);
    y = y * s_of((other << 23) + S_ONE);
    return s_choose(x > 89, INFINITE, s_choose(x < -105, 0, y));
}

/* eˣ − 1 = 2 (2ⁿ⁻¹ − ½ + 2ⁿ⁻¹ (r + rest)) with r and rest to more places: it may be small. The power
   stays in range at n = 1024, and at −60 it is enough. rest = eʳ⁺ˡᵒʷ − 1 − r to 2^-60.6 of r. */
FUNCTION double d_expm1(double x) {
    double shifted = d_fma(x, 0x1.71547652b82fep+0, D_WHOLE), n = shifted - D_WHOLE;
    double high = d_fma(n, -0x1.62e42feep-1, x), piece = n * 0x1.a39ef35793c76p-33;
    double r = high - piece, low = (high - r) - piece, r2 = r * r, r3 = r2 * r, r4 = r2 * r2;
    double a = d_fma(r, 0x1.555555555555ap-5, 0x1.5555555555559p-3);
    double b = d_fma(r, 0x1.6c16c16c1444dp-10, 0x1.111111110f6a4p-7);
    double c = d_fma(r, 0x1.a01a01b0b8339p-16, 0x1.a01a01afe9d58p-13);
    double d = d_fma(r, 0x1.27e4c59e028fdp-22, 0x1.71ddf8469ac64p-19);
    double e = d_fma(r, 0x1.1f9568254cf0ap-29, 0x1.af5ed7aa509d3p-26);
    double first = d_fma(r3, d_fma(r2, b, a), d_fma(r2, 0.5, d_fma(r, low, low)));
    double rest = d_fma(r4 * r3, d_fma(r4, e, d_fma(r2, d, c)), first);
    double power = d_of((d_bits(shifted) << 52) + (D_ONE - (UINT64_C(1) << 52)));
    double less = power - 0.5, step = power * r, sum = less + step;
    double lost = ((power - less) - 0.5) + ((less - sum) + step);
    double y = sum + d_fma(power, rest, lost);
    y = d_choose(x > 710, INFINITE, d_choose(x < -41, -1, y + y));
    return d_choose(d_abs(x) < 0x1p-54, x, y);
}

/* rest to 2^-28.7 of r */
FUNCTION float s_expm1(float x) {
    float shifted = s_fma(x, 0x1.715476p+0f, S_WHOLE), n = shifted - S_WHOLE;
    float high = s_fma(n, -0x1.62e4p-1f, x), piece = n * 0x1.7f7d1cp-20f;
    float r = high - piece, low = (high - r) - piece, r2 = r * r, r3 = r2 * r;
    float a = s_fma(r, 0x1.5554aep-5f, 0x1.555556p-3f), b = s_fma(r, 0x1.6d74a8p-10f, 0x1.11109p-7f);
    float first = s_fma(r3, a, s_fma(r2, 0.5f, s_fma(r, low, low)));
    float rest = s_fma(r3 * r2, s_fma(r2, 0x1.a1a188p-13f, b), first);
    float power = s_of((s_bits(shifted) << 23) + (S_ONE - (1u << 23)));
    float less = power - 0.5f, step = power * r, sum = less + step;
    float lost = ((power - less) - 0.5f) + ((less - sum) + step);
    float y = sum + s_fma(power, rest, lost);
    y = s_choose(x > 89, INFINITE, s_choose(x < -20, -1, y + y));
    return s_choose(s_abs(x) < 0x1p-25f, x, y);
}

/* (eᶻ − 1)/z, 1 at 0 */
FUNCTION double d_phi1(double z) { return d_choose(d_abs(z) < 0x1p-54, 1, d_expm1(z) / z); }
FUNCTION float s_phi1(float z) { return s_choose(s_abs(z) < 0x1p-25f, 1, s_expm1(z) / z); }

/* --- logarithms --------------------------------------------------------------------------------

   y = 2ᵉ m with m in [√½, √2), log m = f − f²/2 + s (f²/2 + R(s²)), f = m − 1, s = f/(2 + f);
   the result is that + (e + more) ln 2 + low, for finite y > 0 that is normal. */

FUNCTION double d_logarithm(double y, double more, double low) {
    const uint64_t root = UINT64_C(0x3FE6A09E667F3BCD); /* √½ */
    uint64_t shifted = d_bits(y) + (D_ONE - root);
    double e = d_of((shifted >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023) + more;
    double f = d_of((shifted & UINT64_C(0x000FFFFFFFFFFFFF)) + root) - 1;
    double s = f / (2 + f), w = s * s, w2 = w * w, half = 0.5 * f * f;
    /* (2 atanh(s)/s − 2)/s² to 2^-57.9/s² */
    double a = d_fma(w, 0x1.999999997fd78p-2, 0x1.5555555555592p-1);
    double b = d_fma(w, 0x1.c71c52060aa15p-3, 0x1.24924941f4f57p-2);
    double c = d_fma(w, 0x1.39a1a6f6709ccp-3, 0x1.74663fa1eeb55p-3);
    double r = w * d_fma(w2, d_fma(w2, d_fma(w2, 0x1.2f0634bf34104p-3, c), b), a);
    double large = e * 0x1.62e42feep-1, first = large + f, sum = first - half;
    double lost = (large - first) + f + ((first - sum) - half);
    return sum + d_fma(s, half + r, lost + d_fma(e, 0x1.a39ef35793c76p-33, low));
}

FUNCTION float s_logarithm(float y, float more, float low) {
    const uint32_t root = 0x3F3504F3u;
    uint32_t shifted = s_bits(y) + (S_ONE - root);
    float e = s_of((shifted >> 23) | 0x4B000000u) - (0x1p23f + 127) + more;
    float f = s_of((shifted & 0x007FFFFFu) + root) - 1;
    float s = f / (2 + f), w = s * s, half = 0.5f * f * f;
    /* to 2^-29.1/s² */
    float r = w * s_fma(w, s_fma(w, 0x1.31e34cp-2f, 0x1.995eb6p-2f), 0x1.55557ap-1f);
    float large = e * 0x1.62e4p-1f, first = large + f, sum = first - half;
    float lost = (large - first) + f + ((first - sum) - half);
    return sum + s_fma(s, half + r, lost + s_fma(e, 0x1.7f7d1cp-20f, low));
}

/* −∞ at 0, NaN below it; ∞ and NaN stay. */
FUNCTION double d_log(double x) {
    int small = x < DBL_MIN;
    double y = d_logarithm(d_choose(small, x * 0x1p54, x), d_choose(small, -54, 0), 0);
    y = d_choose(x > 0, y, d_choose(x == 0, -INFINITE, NONE));
    return d_choose(x < INFINITE, y, x + x);
}

FUNCTION float s_log(float x) {
    int small = x < FLT_MIN;
    float y = s_logarithm(s_choose(small, x * 0x1p25f, x), s_choose(small, -25, 0), 0);
    y = s_choose(x > 0, y, s_choose(x == 0, -INFINITE, NONE));
    return s_choose(x < INFINITE, y, x + x);
}

/* log u + low/u, where u is 1 + x rounded and low what was lost. */
FUNCTION double d_log1p(double x) {
    double u = 1 + x, other = u - 1, low = (1 - (u - other)) + (x - other);
    double y = d_logarithm(u, 0, low / u);
    y = d_choose(x > -1, y, d_choose(x == -1, -INFINITE, NONE));
    return d_choose((x < INFINITE) & (x != 0), y, x + x);
}

FUNCTION float s_log1p(float x) {
    float u = 1 + x, other = u - 1, low = (1 - (u - other)) + (x - other);
    float y = s_logarithm(u, 0, low / u);
    y = s_choose(x > -1, y, s_choose(x == -1, -INFINITE, NONE));
    return s_choose((x < INFINITE) & (x != 0), y, x + x);
}

/* --- hyperbolic tangent ------------------------------------------------------------------------

   Below 1 by a polynomial, above by tanh v = 1 − 2/(e²ᵛ + 1). */

/* (v − tanh v)/v³ of w = v² <= 1, relative error 2^-56 besides rounding */
FUNCTION double d_tanh_series(double w) {
    double a = d_fma(w, -0x1.11111111110bap-3, 0x1.5555555555555p-2);
    double b = d_fma(w, -0x1.664f4880d3644p-6, 0x1.ba1ba1ba14573p-5);
    double c = d_fma(w, -0x1.d6d3c53c1dbd9p-9, 0x1.226e35199d499p-7);
    double d = d_fma(w, -0x1.3551af7cc2ep-11, 0x1.7da2bdeb96057p-10);
    double e = d_fma(w, -0x1.94985cf590ae7p-14, 0x1.f5212623eff9ep-13);
    double f = d_fma(w, -0x1.ea1ce5699ef38p-17, 0x1.4209cb052bcd4p-15);
    double g = d_fma(w, -0x1.72421cdf31511p-20, 0x1.4ebdd82e6859fp-18);
    double h = d_fma(w, -0x1.b040ca4f4109ep-26, 0x1.1ac4ade8316aap-22);
    double w2 = w * w, w4 = w2 * w2;
    double low = d_fma(w4, d_fma(w2, d, c), d_fma(w2, b, a));
    return d_fma(w4 * w4, d_fma(w4, d_fma(w2, h, g), d_fma(w2, f, e)), low);
}

/* to 2^-27.5 */
FUNCTION float s_tanh_series(float w) {
    float a = s_fma(w, -0x1.1110f2p-3f, 0x1.555556p-2f);
    float b = s_fma(w, -0x1.65a7eap-6f, 0x1.ba118p-5f);
    float c = s_fma(w, -0x1.a45782p-9f, 0x1.1d03b4p-7f);
    float d = s_fma(w, -0x1.2b8604p-13f, 0x1.e43cbap-11f), w2 = w * w;
    return s_fma(w2 * w2, s_fma(w2, d, c), s_fma(w2, b, a));
}

FUNCTION double d_tanh(double x) {
    double v = d_abs(x), w = v * v, away = 1 - 2 / (d_exp(2 * v) + 1);
    return d_turned(d_choose(v < 1, d_fma(-v, w * d_tanh_series(w), v), away), x);
}

FUNCTION float s_tanh(float x) {
    float v = s_abs(x), w = v * v, away = 1 - 2 / (s_exp(2 * v) + 1);
    return s_turned(s_choose(v < 1, s_fma(-v, w * s_tanh_series(w), v), away), x);
}

/* (v − tanh v)/v³, 1/3 at 0 and 0 at ∞ */
FUNCTION double d_tanh_gap(double x) {
    double v = d_abs(x), q = 1 / v, rest = 2 / (d_exp(2 * v) + 1);
    return d_choose(v < 1, d_tanh_series(v * v), ((1 - q) + q * rest) * q * q);
}

FUNCTION float s_tanh_gap(float x) {
    float v = s_abs(x), q = 1 / v, rest = 2 / (s_exp(2 * v) + 1);
    return s_choose(v < 1, s_tanh_series(v * v), ((1 - q) + q * rest) * q * q);
}

/* --- sine and cosine ---------------------------------------------------------------------------

   |x| = n π/2 + r + low with whole n and |r| <= π/4; π/2 is in three pieces. With an FMA |x| less
   n times the first is exact; without, the first two have 33 bits, so that n times them is exact
   for |x| <= 2^20. Beyond it the result is that of an |x| changed by less than an ulp of it;
   beyond 2^50, where doubles are at least 1/4 apart, the angle is taken for 0. A float is
   reduced, and its short polynomials are evaluated, in double precision. */

#define FAR 0x1p50f

typedef struct {
    double r, low;
    uint64_t n; /* right in its last bits */
} d_angle;

FUNCTION d_angle d_turn(double x) {
    double v = d_abs(x), shifted = d_fma(v, 0x1.45f306dc9c883p-1, D_WHOLE), n = shifted - D_WHOLE;
#ifdef HAVE_FMA
    double first = d_fma(n, -0x1.921fb54442d18p+0, v), piece = n * 0x1.1a62633145c07p-54;
    double r = first - piece, other = r - first;
    double third = d_fma(n, 0x1.1a62633145c07p-54, -piece) - n * 0x1.f1976b7ed8fbcp-110;
    double low = ((first - (r - other)) - (piece + other)) - third;
#else
    double first = v - n * 0x1.921fb544p+0, piece = n * 0x1.0b4611a6p-34;
    double second = first - piece, other = second - first;
    double lost = (first - (second - other)) - (piece + other);
    double third = lost - n * 0x1.3198a2e037073p-69, r = second + third, low = (second - r) + third;
#endif
    return (d_angle){r, low, d_bits(shifted)};
}

/* the same for floats: two pieces, and nothing is lost that a float would show */
FUNCTION d_angle s_turn(float x) {
    double v = s_abs(x), shifted = d_fma(v, 0x1.45f306dc9c883p-1, D_WHOLE), n = shifted - D_WHOLE;
    double r = d_fma(n, -0x1.0b4611a626331p-34, d_fma(n, -0x1.921fb544p+0, v));
    return (d_angle){r, 0, d_bits(shifted)};
}

/* relative error 2^-58 besides rounding */
FUNCTION double d_sine(double r, double low) {
    double w = r * r, w2 = w * w;
    double a = d_fma(w, 0x1.111111110f842p-7, -0x1.5555555555549p-3);
    double b = d_fma(w, 0x1.71de3570fe434p-19, -0x1.a01a019c0a29bp-13);
    double c = d_fma(w, 0x1.5d915e47373acp-33, -0x1.ae5e60c54032ap-26);
    double cube = r * w * d_fma(w2, d_fma(w2, c, b), a);
    return r + (cube + d_fma(-0.5 * w, low, low));
}

/* error 2^-63 besides rounding */
FUNCTION double d_cosine(double r, double low) {
    double w = r * r, w2 = w * w, half = 0.5 * w, large = 1 - half;
    double a = d_fma(w, -0x1.6c16c16c1514p-10, 0x1.555555555554cp-5);
    double b = d_fma(w, -0x1.27e4f8053422ap-22, 0x1.a01a019cab74bp-16);
    double c = d_fma(w, -0x1.8facd180ad01p-37, 0x1.1ee9e89101e01p-29);
    double fourth = w2 * d_fma(w2, d_fma(w2, c, b), a);
    return large + (((1 - large) - half) + d_fma(-r, low, fourth));
}

/* to 2^-28 */
FUNCTION double s_sine(double r) {
    double w = r * r, a = d_fma(w, 0x1.11075670c748cp-7, -0x1.555545813c0bbp-3);
    return d_fma(r * w, d_fma(w * w, -0x1.994b3fe2ad93ap-13, a), r);
}

FUNCTION double s_cosine(double r) {
    double w = r * r, a = d_fma(w, -0x1.6c0c814f18741p-10, 0x1.55554aa3b650dp-5);
    return d_fma(w * w, d_fma(w * w, 0x1.99ff40e0703edp-16, a), d_fma(w, -0.5, 1));
}

/* By the quarter of the circle: sine or cosine of the rest, with the sign that its bit gives. */
FUNCTION double d_quarter(uint64_t n, double even, double odd) {
    return d_choose(n & 1, odd, even) * d_of(D_ONE | (n >> 1 << 63));
}

FUNCTION double d_sin(double x) {
    d_angle z = d_turn(x);
    double y = d_quarter(z.n, d_sine(z.r, z.low), d_cosine(z.r, z.low)), v = d_abs(x);
    return d_turned(d_choose(v < FAR, y, 0 * v), x);
}

FUNCTION double d_cos(double x) {
    d_angle z = d_turn(x);
    double y = d_quarter(z.n + 1, d_sine(z.r, z.low), d_cosine(z.r, z.low)), v = d_abs(x);
    return d_choose(v < FAR, y, 1 + 0 * v);
}

FUNCTION float s_sin(float x) {
    d_angle z = s_turn(x);
    float y = (float)d_quarter(z.n, s_sine(z.r), s_cosine(z.r)), v = s_abs(x);
    return s_turned(s_choose(v < FAR, y, 0 * v), x);
}

FUNCTION float s_cos(float x) {
    d_angle z = s_turn(x);
    float y = (float)d_quarter(z.n + 1, s_sine(z.r), s_cosine(z.r)), v = s_abs(x);
    return s_choose(v < FAR, y, 1 + 0 * v);
}

/* --- the rest ---------------------------------------------------------------------------------- */

#define OF_BOTH(p, T, f, LEAST, LARGE, SMALL)                                                      \
    FUNCTION T p##sqrt(T x) { return __builtin_sqrt##f(x); }                                       \
    FUNCTION T p##pow(T x, T y) { return __builtin_pow##f(x, y); }                                 \
    FUNCTION T p##sign(T x) { return p##choose(x > 0, 1, p##choose(x < 0, -1, 0)); }               \
    FUNCTION T p##maximum(T x, T bound) { /* a NaN of either, as in torch */                       \
        return p##choose((x < bound) | (bound != bound), bound, x);                                \
    }                                                                                              \
    FUNCTION T p##minimum(T x, T bound) {                                                          \
        return p##choose((x > bound) | (bound != bound), bound, x);                                \
    }                                                                                              \
    FUNCTION T p##nonzero(T x) { return p##choose(x < LEAST, LEAST, x); }                          \
    /* x/√(1 + a x²), scaled by a power of 2 where x is large; 0 beyond a x² = 2^276 (2^2096) */   \
    FUNCTION T p##soft_cap(T a, T x) {                                                             \
        T scale = p##choose(p##abs(x) > LARGE, SMALL, 1), q = x * scale;                           \
        return q / __builtin_sqrt##f(p##fma(a, q * q, scale * scale));                             \
    }                                                                                              \
    FUNCTION T p##where(T test, T a, T b) { return p##choose(test != 0, a, b); }                   \
    FUNCTION T p##less(T a, T b) { return p##choose(a < b, 1, 0); }                                \
    FUNCTION T p##equal(T a, T b) { return p##choose(a == b, 1, 0); }                              \
    FUNCTION double p##widen(T x) { return x; }

OF_BOTH(d_, double, , DBL_MIN, 0x1p256, 0x1p-536)
OF_BOTH(s_, float, f, FLT_MIN, 0x1p32f, 0x1p-74f)
