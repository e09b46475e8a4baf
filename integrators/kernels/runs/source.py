"""The C kernel that moves many trajectories through many steps at once."""

from collections.abc import Sequence
from importlib.resources import files

from ..c_code import statements, text, type_of
from ..recording.carried import COST
from ..recording.expression import Node, frontier, in_order, inputs_of
from ..recording.trace import StepTrace

_PIECE = 64  # steps between two looks for overflow
_STRANDS = 4  # lanes whose statements take turns
_SMALL = 120  # operations in a step, up to which the processor has room for more than a vector
_LARGE = 400  # beyond which a lane alone gains nothing, and every number of lanes costs seconds
_INLINED = 3500  # cost of a step up to which all functions are inlined; beyond, it takes a minute
_AHEAD = 256  # steps times lanes for which noise is made at once
_DRAWN = 2**15  # normal numbers that are kept, at most: 256 kB of the stack


class EnsembleText:
    """The text of the kernel of a step.

    uniform  the inputs that are numbers, in the order of the array in which they are given
    column   those that are one number per trajectory, an array each
    """

    def __init__(self, trace: StepTrace) -> None:
        self._trace = trace
        self._generated = _Generated(trace)
        self.uniform = inputs_of(self._generated.uniform, ("uniform",))
        self.column = inputs_of(self._generated.column, ("column",))

    def text(self, real: str) -> str:
        """For coordinates of the type `real`, "double" or "float"."""
        generated, lanes = self._generated, self.lanes
        parts = [text("elementary.c"), _header(real)]
        if sum(COST.get(node.op, 1) for node in generated.everything) <= _INLINED:
            parts.insert(0, "#define INLINED")
        if self._trace.draws:
            noise = files("dashpot.integrators.noise").joinpath("philox.c")
            parts.insert(0, noise.read_text("utf-8"))
        parts.append(generated.sizes())
        for count in lanes:
            strands = _STRANDS if count == 64 else 1
            own = {"LANES": count, "TURNS": self.turns(count), "STRANDS": strands}
            parts += [f"#undef {name}\n#define {name} {value}" for name, value in own.items()]
            parts.append(f"#undef NAME\n#define NAME(n) n##_{count}")
            body = text("runs/ensemble.c")
            for name, lines in generated.pieces(strands).items():
                body = body.replace(f"${name}$", "\n".join(lines))
            parts.append(body)
        return "\n".join([*parts, generated.entry(lanes, self.uniform)])

    @property
    def lanes(self) -> tuple[int, ...]:
        """The numbers of lanes for which the kernel is compiled."""
        size = len(in_order([new for _, new in self._trace.state]))
        if size > _LARGE:
            return (8,)
        if self._trace.draws:
            return (8, 256) if size <= _SMALL else (8,)
        return (1, 8, 64) if size <= _SMALL else (1, 8)

    def turns(self, lanes: int) -> int:
        """For how many steps noise is made at once."""
        drawn = sum(len(draw.nodes) for draw in self._trace.draws)
        return max(1, min(_AHEAD, _DRAWN // drawn) // lanes) if drawn else _PIECE


def _header(real: str) -> str:
    letter = {"double": "d", "float": "s"}[real]
    return f"""
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef {real} real;
#define E(name) {letter}_##name
enum {{ PIECE = {_PIECE} }};
typedef struct {{
    int64_t first, steps, every;
    uint64_t seed, trajectory;
    const double *uniform;
    const double *const *column;
    real *const *element;
    double *const *scalar;
    real *const *saved_element;
    double *const *saved_scalar;
    const int64_t *element_stride, *scalar_stride;
    int64_t *stopped;
}} Task;
"""


class _Generated:
    """The pieces of the template that depend on the step."""

    def __init__(self, trace: StepTrace) -> None:
        self._trace = trace
        self._state = trace.state
        self.elements = [old for old, _ in self._state if old.kind == "element"]
        self.scalars = [old for old, _ in self._state if old.kind == "scalar"]
        results = [new for _, new in self._state]
        results += [end for one in trace.carried for end in (one.first, one.next)]
        self.everything = in_order(results)
        uniform = frontier(results, "uniform")
        self.uniform = [node for node in uniform if node.op != "constant"]
        self.column = frontier(results, "column")

    def sizes(self) -> str:
        counts = {
            "ELEMENTS": len(self.elements),
            "SCALARS": len(self.scalars),
            "COLUMNS": len(self.column),
            "CARRIED": len(self._trace.carried),
            "UNIFORMS": len(self.uniform),
        }
        return f"enum {{ {', '.join(f'{name} = {count}' for name, count in counts.items())} }};"

    def pieces(self, strands: int) -> dict[str, list[str]]:
        state = [*((k, "element", n) for k, n in enumerate(self.elements)),
                 *((k, "scalar", n) for k, n in enumerate(self.scalars))]  # fmt: skip
        kept = [(k, _carried_row(c.place), c) for k, c in enumerate(self._trace.carried)]
        types = {"element": "real", "carried": "real"}
        rows = [(row, k) for k, row, _ in (*state, *kept)]
        return {
            "prepare": self._prepare(),
            "carry": self._carry(state, kept),
            "load": [
                *(f"{types.get(row, 'double')} {row}_{k}[LANES];" for row, k in rows),
                *(
                    f"for (int i = 0; i < LANES; i++) {row}_{k}[i] = block->{row}[{k}][i];"
                    for row, k in rows
                ),
                *(
                    f"double z_{k}[TURNS * {len(d.nodes)} * LANES];"
                    for k, d in enumerate(self._trace.draws)
                ),
            ],
            "draw": [
                f"fill(1, seed, trajectory, (uint64_t)(step * {d.per_step} + {d.offset}), turns, "
                f"{d.per_step}, {d.channel}, {d.count}, {d.coordinates}, LANES, z_{k});"
                for k, d in enumerate(self._trace.draws)
            ],
            "step": self._step(state, kept, strands),
            "store": [
                f"for (int i = 0; i < LANES; i++) block->{row}[{k}][i] = {row}_{k}[i];"
                for row, k in rows
            ],
        }

    def _hoisted(self) -> dict[Node, str]:
        names = {node: f"uniform[{k}]" for k, node in enumerate(self.uniform)}
        return names | {node: f"block->column[{k}][i]" for k, node in enumerate(self.column)}

    def _prepare(self) -> list[str]:
        names = {node: f"uniform[{k}]" for k, node in enumerate(self.uniform)}
        given = inputs_of(self.column, ("column",))
        names |= {node: f"column[{k}][from]" for k, node in enumerate(given)}
        lines = statements(self.column, names)
        stores = [f"block->column[{k}][i] = {names[n]};" for k, n in enumerate(self.column)]
        return [*lines, *stores]

    def _carry(self, state: list, kept: list) -> list[str]:
        names = self._hoisted() | {node: f"block->{row}[{k}][i]" for k, row, node in state}
        lines = statements([one.first for _, _, one in kept], names)
        return [*lines, *(f"block->{row}[{k}][i] = {names[one.first]};" for k, row, one in kept)]

    def _step(self, state: list, kept: list, strands: int) -> list[str]:
        """The body of the loop over lanes: of several lanes at a time, statement by statement.

        One step is a long chain of operations that wait for each other; the processor looks only
        so far ahead for something else to do.
        """
        lines = [self._strand(state, kept, k, strands) for k in range(strands)]
        return [line for together in zip(*lines, strict=True) for line in together]

    def _strand(self, state: list, kept: list, strand: int, strands: int) -> list[str]:
        lane = f"i + {strand} * (LANES / {strands})" if strands > 1 else "i"
        suffix = f"_{strand}" if strands > 1 else ""
        names = {node: f"uniform[{k}]" for k, node in enumerate(self.uniform)}
        names |= {node: f"block->column[{k}][{lane}]" for k, node in enumerate(self.column)}
        names |= {node: f"{row}_{k}[{lane}]" for k, row, node in state}
        names |= {one.place: f"{row}_{k}[{lane}]" for k, row, one in kept}
        for d, draw in enumerate(self._trace.draws):
            for j, node in enumerate(draw.nodes):
                cast = "(real)" if node.kind == "element" else ""
                names[node] = f"({cast}z_{d}[(turn * {len(draw.nodes)} + {j}) * LANES + {lane}])"
        after = dict(self._state)
        ends = [*((row, k, after[node]) for k, row, node in state),
                *((row, k, one.next) for k, row, one in kept)]  # fmt: skip
        lines = statements([end for _, _, end in ends], names, suffix)
        # all are read before any is written
        reads = [f"const {type_of(end)} {row}_end_{k}{suffix} = {names[end]};"
                 for row, k, end in ends]  # fmt: skip
        writes = [f"{row}_{k}[{lane}] = {row}_end_{k}{suffix};" for row, k, _ in ends]
        return [*lines, *reads, *writes]

    def entry(self, lanes: Sequence[int], given: Sequence[Node]) -> str:
        """The function that is called: hoists what depends on no trajectory, cuts the blocks."""
        names = {node: f"task->uniform[{k}]" for k, node in enumerate(given)}
        lines = statements(self.uniform, names)
        lines += [f"uniform[{k}] = {names[node]};" for k, node in enumerate(self.uniform)]
        blocks = "\n".join(
            f"    for (; end - begin >= {_least(count, lanes)}; begin += {count})\n"
            f"        run_{count}(&own, begin, end - begin < {count} ? end - begin : {count});"
            for count in sorted(lanes, reverse=True)
        )
        body = "\n".join(f"    {line}" for line in lines)
        return f"""
void run(const Task *task, int64_t begin, int64_t end) {{
    double uniform[UNIFORMS + 1];
{body}
    Task own = *task;
    own.uniform = uniform;
{blocks}
}}
"""


def _carried_row(node: Node) -> str:
    return "carried" if node.kind == "element" else "carried_scalar"


def _least(count: int, lanes: Sequence[int]) -> int:
    """How many trajectories must be left for a block of so many lanes to be worth it."""
    smaller = [other for other in lanes if other < count]
    return 1 if not smaller else max(smaller) * 2 + 1 if max(smaller) > 1 else 3
