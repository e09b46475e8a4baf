// Random bits for stochastic rounding; rounding.py says what they depend on.

static inline uint64_t mixed(uint64_t z) {  // the finalizer of SplitMix64
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline uint64_t rounding_key(uint64_t seed, uint64_t place, uint64_t tick, uint64_t stream) {
    return mixed(mixed(mixed(mixed(seed) ^ place) ^ tick) ^ stream);
}

static inline uint32_t rounding_bits(uint32_t element, uint32_t low, uint32_t high) {
    uint32_t h = element ^ low;
    h = (h ^ (h >> 16)) * 0x7FEB352Du;
    h = ((h ^ (h >> 15)) + high) * 0x846CA68Bu;
    return h >> 16;
}
