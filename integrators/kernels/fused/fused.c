// The tensors of a group as a row of chunks, which threads divide among them.

enum { CHUNK = 16384, BLOCK = 256, LANES = 16 };

typedef struct {
    int64_t tensors;
    const int64_t *begins;    // [tensors + 1] where the chunks of each tensor begin
    const int64_t *sizes;     // [tensors] elements
    const int64_t *columns;   // [tensors] of a matrix: elements of a row, and
    const int64_t *heights;   // [tensors] rows of a chunk
    char *const *pointers;    // [slots, tensors]
    const double *uniform;    // the numbers that are given at run time
    double *sums;             // [sums, tensors]
    double *partial;          // [sums, chunks]
    double *lines;            // means of the rows or the columns of matrices, which begin at
    const int64_t *offsets;   // [sums, tensors]; after those of columns the sums of each chunk
    uint64_t seed;            // of stochastic rounding, as are
    const int64_t *places;    // [tensors] and
    const int64_t *ticks;     // [tensors]
} group;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// the tensor in which a chunk lies; tensors without elements have none
static inline int64_t tensor_of(const group *g, int64_t chunk) {
    int64_t low = 0, high = g->tensors;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (g->begins[middle] <= chunk) low = middle; else high = middle;
    }
    return low;
}

// the sum of a block, in an order that depends on nothing
static inline double block_sum(const double *values) {
    double lanes[LANES] = {0}, sum = 0;
    for (int at = 0; at < BLOCK; at += LANES)
        for (int lane = 0; lane < LANES; lane++) lanes[lane] += values[at + lane];
    for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
}

// from the sums of chunks those of tensors, divided by their sizes if asked for; returns the total
double add_up(const group *g, int64_t number, int64_t average) {
    const double *partial = g->partial + number * g->begins[g->tensors];
    double *sums = g->sums + number * g->tensors, total = 0;
    for (int64_t i = 0; i < g->tensors; i++) {
        double sum = 0;
        for (int64_t chunk = g->begins[i]; chunk < g->begins[i + 1]; chunk++) sum += partial[chunk];
        sums[i] = average ? sum / (double)g->sizes[i] : sum;
        total += sum;
    }
    return total;
}

// the means of columns, from the sums of chunks that stand behind them
static inline __attribute__((unused)) void add_chunks(
    double *restrict lines, int64_t columns, int64_t chunks, int64_t rows
) {
    for (int64_t e = 0; e < columns; e++) lines[e] = 0;
    for (int64_t chunk = 1; chunk <= chunks; chunk++)
        for (int64_t e = 0; e < columns; e++) lines[e] += lines[chunk * columns + e];
    for (int64_t e = 0; e < columns; e++) lines[e] /= (double)rows;
}
