/* Steps of many trajectories, LANES at a time: this text is compiled for several numbers of lanes.

   What is in $-signs is generated from the parts' own flows. The numbers of a trajectory stay where
   they are while time runs; overflow is looked for after PIECE steps, which are then made again one
   by one for the trajectories to be stopped where they were. */

typedef struct {
    real element[ELEMENTS + 1][LANES];
    double scalar[SCALARS + 1][LANES];
    double column[COLUMNS + 1][LANES];
    real carried[CARRIED + 1][LANES];
    double carried_scalar[CARRIED + 1][LANES];
    int64_t stopped[LANES];
} NAME(Block);

/* What a trajectory keeps for all time. */
static void NAME(prepare)(NAME(Block) *block, const double *uniform, const double *const *column,
                          int64_t begin, int64_t lanes) {
    (void)uniform, (void)column, (void)begin, (void)lanes;
    for (int i = 0; i < LANES; i++) {
        const int64_t from = begin + (i < lanes ? i : lanes - 1);
        (void)from;
$prepare$
    }
}

/* What the step before would have left for the next one. */
static void NAME(carry)(NAME(Block) *block, const double *uniform) {
    (void)uniform;
    for (int i = 0; i < LANES; i++) {
$carry$
    }
}

static void NAME(advance)(NAME(Block) *block, const double *uniform, uint64_t trajectory,
                          uint64_t seed, int64_t first, int64_t steps) {
    (void)uniform, (void)trajectory, (void)seed;
$load$
    for (int64_t step = first, left = steps, turns; left > 0; step += turns, left -= turns) {
        turns = left < TURNS ? left : TURNS; /* noise is made for several steps at a time */
$draw$
        for (int64_t turn = 0; turn < turns; turn++)
            for (int i = 0; i < LANES / STRANDS; i++) {
$step$
            }
    }
$store$
}

/* Whether a trajectory that was alive has overflowed. */
static int NAME(any_lost)(const NAME(Block) *block) {
    double worst = 0;
    for (int i = 0; i < LANES; i++) {
        real element = 0;
        double scalar = 0;
        for (int k = 0; k < ELEMENTS; k++) element += block->element[k][i] - block->element[k][i];
        for (int k = 0; k < SCALARS; k++) scalar += block->scalar[k][i] - block->scalar[k][i];
        worst += block->stopped[i] < 0 ? (double)element + scalar : 0;
    }
    return worst != 0;
}

static void NAME(put_back)(NAME(Block) *block, const NAME(Block) *before, int i) {
    for (int k = 0; k < ELEMENTS; k++) block->element[k][i] = before->element[k][i];
    for (int k = 0; k < SCALARS; k++) block->scalar[k][i] = before->scalar[k][i];
}

/* Step by step: a trajectory that overflows is put back where it was. */
static void NAME(find_lost)(NAME(Block) *block, const double *uniform, uint64_t trajectory,
                            uint64_t seed, int64_t first, int64_t steps) {
    for (int64_t step = first; step < first + steps; step++) {
        const NAME(Block) before = *block;
        NAME(advance)(block, uniform, trajectory, seed, step, 1);
        for (int i = 0; i < LANES; i++) {
            real element = 0;
            double scalar = 0;
            for (int k = 0; k < ELEMENTS; k++)
                element += block->element[k][i] - block->element[k][i];
            for (int k = 0; k < SCALARS; k++) scalar += block->scalar[k][i] - block->scalar[k][i];
            if (block->stopped[i] < 0 && element == 0 && scalar == 0) continue;
            if (block->stopped[i] < 0) block->stopped[i] = step + 1;
            NAME(put_back)(block, &before, i);
        }
    }
}

static void NAME(save)(const Task *task, const NAME(Block) *block, int64_t row, int64_t begin,
                       int64_t lanes) {
    for (int k = 0; k < ELEMENTS; k++) {
        real *to = task->saved_element[k] + row * task->element_stride[k] + begin;
        for (int i = 0; i < lanes; i++)
            to[i] = block->stopped[i] < 0 ? block->element[k][i] : (real)NAN;
    }
    for (int k = 0; k < SCALARS; k++) {
        double *to = task->saved_scalar[k] + row * task->scalar_stride[k] + begin;
        for (int i = 0; i < lanes; i++) to[i] = block->stopped[i] < 0 ? block->scalar[k][i] : NAN;
    }
}

static void NAME(run)(const Task *task, int64_t begin, int64_t lanes) {
    NAME(Block) block;
    memset(&block, 0, sizeof block);
    for (int i = 0; i < LANES; i++) { /* lanes without a trajectory repeat the last one */
        const int64_t from = begin + (i < lanes ? i : lanes - 1);
        for (int k = 0; k < ELEMENTS; k++) block.element[k][i] = task->element[k][from];
        for (int k = 0; k < SCALARS; k++) block.scalar[k][i] = task->scalar[k][from];
        block.stopped[i] = task->stopped[from];
    }
    NAME(prepare)(&block, task->uniform, task->column, begin, lanes);
    NAME(carry)(&block, task->uniform);
    const uint64_t trajectory = task->trajectory + (uint64_t)begin;
    const int64_t last = task->first + task->steps;
    int64_t row = 0;
    for (int64_t done = task->first; done < last;) {
        int64_t piece = last - done < PIECE ? last - done : PIECE;
        if (task->every && task->every - done % task->every < piece)
            piece = task->every - done % task->every;
        int alive = 0, dead = 0;
        for (int i = 0; i < LANES; i++) *(block.stopped[i] < 0 ? &alive : &dead) += 1;
        if (alive) {
            const NAME(Block) before = block;
            NAME(advance)(&block, task->uniform, trajectory, task->seed, done, piece);
            if (NAME(any_lost)(&block)) {
                block = before;
                NAME(find_lost)(&block, task->uniform, trajectory, task->seed, done, piece);
                NAME(carry)(&block, task->uniform);
            } else if (dead)
                for (int i = 0; i < LANES; i++)
                    if (block.stopped[i] >= 0) NAME(put_back)(&block, &before, i);
        }
        done += piece;
        if (task->every && done % task->every == 0) NAME(save)(task, &block, row++, begin, lanes);
    }
    for (int i = 0; i < lanes; i++) {
        for (int k = 0; k < ELEMENTS; k++) task->element[k][begin + i] = block.element[k][i];
        for (int k = 0; k < SCALARS; k++) task->scalar[k][begin + i] = block.scalar[k][i];
        task->stopped[begin + i] = block.stopped[i];
    }
}
