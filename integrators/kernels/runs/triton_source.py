"""The text of the Triton kernel of an ensemble: the time loop of a block of trajectories."""

from ..recording.expression import Node, frontier, inputs_of
from ..recording.trace import Draw, StepTrace
from ..triton_code import Lines, function

COUNTS = ("n", "first", "steps", "every", "until", "row", "seed", "trajectory")
"""Whole numbers that the kernel is given: trajectories; the first step and how many; steps from one
that is saved to the next, and to the first of them (0: none); its row; the noise's seed and first
trajectory."""


class EnsembleText:
    """The text of the kernel of a step. One program has `BLOCK` trajectories.

    uniform  the inputs that are numbers, in the order of the array in which they are given
    column   those that are one number per trajectory, an array each
    """

    def __init__(self, trace: StepTrace) -> None:
        self._trace = trace
        self._rows = [
            (name, k, node)
            for name, symbols in trace.before.items()
            for k, node in enumerate(symbols.nodes)
        ]
        self._results = [new for _, new in trace.state]
        self._results += [end for one in trace.carried for end in (one.first, one.next)]
        self.uniform = inputs_of(self._results, ("uniform",))
        self.column = inputs_of(self._results, ("column",))

    def text(self) -> str:
        names = list(self._trace.before)
        arguments = [
            *(f"at_{name}" for name in names), *(f"saved_{name}" for name in names),
            "stopped", "uniform", *(f"column_{k}" for k in range(len(self.column))), *COUNTS,
            "E: tl.constexpr", "BLOCK: tl.constexpr",
        ]  # fmt: skip
        constant = self._constant()
        body = [*constant.text, *self._load(constant), *self._loop(constant), *self._store()]
        return function("ensemble", arguments, body, COUNTS)

    def _constant(self) -> Lines:
        """What does not change in time."""
        lines = Lines()
        lines.add(
            "lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK) - trajectory % 4",
            "there = (lane >= 0) & (lane < n)",
            "size = tl.full((), 0, tl.int64) + n",
        )
        for k, node in enumerate(self.uniform):
            lines.give(node, f"tl.load(uniform + {k})")
        for k, node in enumerate(self.column):
            lines.give(node, f"tl.load(column_{k} + lane, mask=there, other=1.0)")
        for kind in ("uniform", "column"):
            lines.compute(frontier(self._results, kind))
            lines.cast(frontier(self._results, kind, ("element",)))
        return lines

    def _load(self, constant: Lines) -> list[str]:
        """The state, and what the step before would have left."""
        lines = Lines("first", before=constant)
        lines.add("stop = tl.load(stopped + lane, mask=there, other=0)")
        for name, k, node in self._rows:
            lines.call(node, f"s_{name}_{k}")
            lines.add(
                f"s_{name}_{k} = tl.load(at_{name} + {k} * size + lane, mask=there, other=1.0)"
            )
        for k, one in enumerate(self._trace.carried):
            lines.compute([one.first])
            lines.add(f"carried_{k} = {_block(lines, one.first, one.place)}")
        if self._trace.draws:
            lines.add(
                "key = (tl.full((), 0, tl.int64) + seed).to(tl.uint64, bitcast=True)",
                "four = (trajectory // 4 + tl.program_id(0).to(tl.int64) * (BLOCK // 4)"
                " + tl.arange(0, BLOCK // 4)).to(tl.uint64)",
            )
        for name, given in (("written", "row"), ("done", "first"), ("left", "until"),
                            ("every", "every")):  # fmt: skip
            lines.add(f"{name} = tl.full((), 0, tl.int64) + {given}")
        return lines.text

    def _loop(self, constant: Lines) -> list[str]:
        lines = Lines(indent=2, before=constant)
        for name, k, node in self._rows:
            lines.call(node, f"s_{name}_{k}")
        for k, one in enumerate(self._trace.carried):
            lines.call(one.place, f"carried_{k}")
        for draw in self._trace.draws:
            _draw(lines, draw)
        after = [new for _, new in self._trace.state]
        lines.compute([*after, *(one.next for one in self._trace.carried)])
        lines.add("fault = tl.zeros((BLOCK,), tl.float64)", "fault_E = tl.zeros((BLOCK,), E)")
        for (name, k, old), new in zip(self._rows, after, strict=True):
            lines.add(f"end_{name}_{k} = {_block(lines, new, old)}")
            sum_of = "fault_E" if old.kind == "element" else "fault"
            lines.add(f"{sum_of} = end_{name}_{k} * 0.0 + {sum_of}")  # NaN if it is not finite
        for k, one in enumerate(self._trace.carried):
            lines.add(f"end_{k} = {_block(lines, one.next, one.place)}")
        lines.add(
            "done += 1",
            "fine = (fault == 0) & (fault_E == 0)",
            "stop = tl.where((stop < 0) & (fine == 0), done, stop)",
            "going = stop < 0",
        )
        for name, k, _ in self._rows:
            lines.add(f"s_{name}_{k} = tl.where(going, end_{name}_{k}, s_{name}_{k})")
        lines.add(*(f"carried_{k} = end_{k}" for k in range(len(self._trace.carried))))
        lines.add("left -= 1", "if left == 0:")
        for name, k, _ in self._rows:
            place = f"(written * {self._count(name)} + {k}) * size + lane"
            value = f'tl.where(going, s_{name}_{k}, float("nan"))'
            lines.add(f"    tl.store(saved_{name} + {place}, {value}, mask=there)")
        lines.add("    written += 1", "    left = every")
        return ["    for _ in range(steps):", *lines.text]

    def _store(self) -> list[str]:
        lines = Lines()
        for name, k, _ in self._rows:
            lines.add(f"tl.store(at_{name} + {k} * size + lane, s_{name}_{k}, mask=there)")
        lines.add("tl.store(stopped + lane, stop, mask=there)")
        return lines.text

    def _count(self, name: str) -> int:
        return len(self._trace.before[name].nodes)


def _draw(lines: Lines, draw: Draw) -> None:
    lines.add(f"tick = (done * {draw.per_step} + {draw.offset}).to(tl.uint64)")
    for j, node in enumerate(draw.nodes):
        k, coordinate = divmod(j, draw.coordinates)
        normal = f"normals(key, four, {coordinate}, tick, {256 * draw.channel + k})"
        lines.give(node, f"{normal}.to(E)" if node.kind == "element" else normal)


def _block(lines: Lines, value: Node, like: Node) -> str:
    """The value as a block of the type of another, which it may replace in a loop."""
    if value.kind == like.kind:
        return lines.name(value)
    kind = "E" if like.kind == "element" else "tl.float64"
    return f"tl.zeros((BLOCK,), {kind}) + {lines.name(value)}.to({kind})"
