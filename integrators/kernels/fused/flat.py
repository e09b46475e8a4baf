"""The C source of an optimizer's call, for tensors whose shape does not matter."""

from collections.abc import Iterable, Mapping, Sequence

from ..c_code import statements, text
from ..recording.expression import Node, in_order
from .trace import FusedTrace, Sum

_TYPES = {"float64": "double", "float32": "float", "bfloat16": "bfloat16", "float16": "float16"}


def flat_source(trace: FusedTrace, dtypes: Mapping[str, str]) -> str:
    """Functions `pass_0`, `pass_1`, ... for the sums of each level, `write`, and `finish`."""
    writer = Writer(trace, dtypes)
    passes = [_pass(writer, number, level) for number, level in enumerate(trace.levels)]
    return "\n".join((preamble(dtypes), *passes, _write(writer), _finish(writer)))


def preamble(dtypes: Mapping[str, str]) -> str:
    """All that is the same in every kernel, for one type to compute with."""
    real, prefix = ("double", "d") if dtypes["x"] == "float64" else ("float", "s")
    define = f"typedef {real} real;\n#define E(name) {prefix}_##name\n"
    return "\n".join(
        (
            text("elementary.c"),
            text("fused/storage.c"),
            text("fused/rounding.c"),
            define,
            text("fused/fused.c"),
        )
    )


class Writer:
    """Names of a trace's inputs in C, and the lines that load and store them."""

    def __init__(self, trace: FusedTrace, dtypes: Mapping[str, str]) -> None:
        self.trace, self.dtypes = trace, dtypes
        self.slots = {name: slot for slot, name in enumerate(trace.inputs)}
        self.variables = trace.variables
        self.streams = list(trace.inputs)[1:-1]  # of stochastic rounding: neither x nor g
        self.numbers = {one.result: number for number, one in enumerate(trace.sums)}
        self.given = {name: place for place, name in enumerate(trace.uniform)}

    def axes_of(self, node: Node) -> str:
        return self.trace.graph.axes_of(node)

    def uniform(self, targets: Iterable[Node], names: dict[Node, str]) -> list[str]:
        """What is the same for all tensors."""
        needed = [node for node in in_order(targets) if node.kind == "uniform"]
        lines = []
        for node in needed:
            if node.op == "input":
                place = self.given[node.value]
                names[node] = f"u_{place}"
                lines.append(f"const double u_{place} = g->uniform[{place}];")
        return lines + statements(needed, names)

    def of_tensor(self, targets: Iterable[Node], names: dict[Node, str]) -> list[str]:
        """What is the same for all elements of tensor i."""
        needed = [n for n in in_order(targets) if n.kind != "uniform" and self.axes_of(n) == ""]
        lines = []
        for node in needed:
            if node.op == "input":
                names[node] = name = f"n_{self.tag(node)}"
                kind = "real" if node.kind == "element" else "double"
                lines.append(f"const {kind} {name} = ({kind}){self._number(node)};")
        return lines + statements(needed, names)

    def _number(self, node: Node) -> str:
        if node in self.numbers:
            return f"g->sums[{self.numbers[node]} * g->tensors + i]"
        name = self.tag(node)
        return f"load_{self.dtypes[name]}(*({_TYPES[self.dtypes[name]]} *){self.place(name)})"

    def tag(self, node: Node) -> str:
        """A variable's name, or the number of a sum."""
        return str(self.numbers[node]) if node in self.numbers else self.variables[node]

    def place(self, name: str) -> str:
        return f"g->pointers[{self.slots[name]} * g->tensors + i]"

    def pointer(self, name: str, is_written: bool) -> list[str]:
        """Declarations for a tensor's memory."""
        kind = _TYPES[self.dtypes[name]]
        kind = kind if is_written else f"const {kind}"
        lines = [f"{kind} *restrict const m_{name} = ({kind} *){self.place(name)};"]
        if is_written and self.is_random(name):
            stream = self.slots[name]
            lines.append(
                f"const uint64_t k_{name} = rounding_key(g->seed, (uint64_t)g->places[i], "
                f"(uint64_t)g->ticks[i], {stream});"
            )
        return lines

    def is_random(self, name: str) -> bool:
        """Whether it is rounded by chance: state in bfloat16, not parameters."""
        return name in self.streams and self.dtypes[name] == "bfloat16"

    def load(self, node: Node, place: str, names: dict[Node, str]) -> str:
        """One element of a variable, or one of the means of rows or columns."""
        tag = self.tag(node)
        names[node] = f"e_{tag}"
        memory = f"m_{tag}[{place}]"
        if node not in self.numbers:
            memory = f"load_{self.dtypes[tag]}({memory})"
        return f"const real e_{tag} = (real){memory};"

    def store(self, name: str, value: str, place: str) -> str:
        if self.is_random(name):
            key = f"(uint32_t)k_{name}, (uint32_t)(k_{name} >> 32)"
            bits = f"rounding_bits((uint32_t)({place}), {key})"
            return f"m_{name}[{place}] = rounded_bfloat16((float){value}, {bits});"
        return f"m_{name}[{place}] = store_{self.dtypes[name]}({value});"

    def inputs(self, targets: Iterable[Node], *axes: str) -> list[Node]:
        """The variables and sums with these axes that the targets depend on."""
        return [n for n in in_order(targets) if n.op == "input" and self.axes_of(n) in axes]

    def memory(self, nodes: Iterable[Node], written: Iterable[str] = ()) -> list[str]:
        """Declarations of where the elements of inputs are, and of what is written."""
        means = [node for node in nodes if node in self.numbers]
        names = {self.tag(node) for node in nodes if node not in self.numbers} | set(written)
        lines = [line for name in sorted(names) for line in self.pointer(name, name in written)]
        return lines + [
            f"const double *const m_{self.tag(node)} = g->lines + "
            f"g->offsets[{self.numbers[node]} * g->tensors + i];"
            for node in means
        ]

    def outputs(self, *axes: str) -> dict[str, Node]:
        """What becomes of the variables with these axes."""
        trace = self.trace
        return {n: v for n, v in trace.outputs.items() if self.axes_of(trace.inputs[n]) in axes}


def _write(w: Writer) -> str:
    """The last pass, which computes the new values in place."""
    new = w.outputs(w.trace.whole)
    targets = list(new.values())
    names: dict[Node, str] = {}
    leaves = w.inputs(targets, w.trace.whole)
    body = [
        *w.uniform(targets, names),
        "for (int64_t chunk = first, i = tensor_of(g, first); chunk < last;) {",
        "while (g->begins[i + 1] <= chunk) i++;",
        "const int64_t end = least(g->begins[i + 1], last);",
        "const int64_t from = (chunk - g->begins[i]) * CHUNK;",
        "const int64_t to = least((end - g->begins[i]) * CHUNK, g->sizes[i]);",
        "chunk = end;",
        *w.of_tensor(targets, names),
        *w.memory(leaves, new),
        "#pragma GCC ivdep",
        "for (int64_t e = from; e < to; e++) {",
        *(w.load(leaf, "e", names) for leaf in leaves),
        *statements(targets, names),
        *(w.store(name, names[node], "e") for name, node in new.items()),
        "}",
        "}",
    ]
    return function("write", body)


def _pass(w: Writer, number: int, level: Sequence[Sum]) -> str:
    """A pass that adds up the sums of a level, chunk by chunk."""
    sources = [one.source for one in level]
    indices = [w.numbers[one.result] for one in level]
    names: dict[Node, str] = {}
    head = [
        *w.uniform(sources, names),
        "for (int64_t chunk = first, i = tensor_of(g, first); chunk < last; chunk++) {",
        "while (g->begins[i + 1] <= chunk) i++;",
        "const int64_t from = (chunk - g->begins[i]) * CHUNK;",
        "const int64_t to = least(from + CHUNK, g->sizes[i]);",
        *w.of_tensor(sources, names),
    ]
    leaves = w.inputs(sources, w.trace.whole)
    body = [
        *w.memory(leaves),
        *(f"double total_{k} = 0;" for k in indices),
        "for (int64_t at = from; at < to; at += BLOCK) {",
        "const int64_t count = least(BLOCK, to - at);",
        *(f"double values_{k}[BLOCK];" for k in indices),
        "#pragma GCC ivdep",
        "for (int64_t e = 0; e < count; e++) {",
        *(w.load(leaf, "at + e", names) for leaf in leaves),
        *statements(sources, names),
        *(f"values_{k}[e] = {names[s]};" for k, s in zip(indices, sources, strict=True)),
        "}",
    ]
    tail = [
        *(f"for (int64_t e = count; e < BLOCK; e++) values_{k}[e] = 0;" for k in indices),
        *(f"total_{k} += block_sum(values_{k});" for k in indices),
        "}",
        *(f"g->partial[{k} * g->begins[g->tensors] + chunk] = total_{k};" for k in indices),
        "}",
    ]
    return function(f"pass_{number}", [*head, *body, *tail])


def _finish(w: Writer) -> str:
    """What becomes of the numbers that a tensor has one of, when all passes are done."""
    new = w.outputs("")
    targets = list(new.values())
    names: dict[Node, str] = {}
    has_means = any(one.over is not None for one in w.trace.sums)
    body = [
        "(void)g;",
        *w.uniform(targets, names),
        "for (int64_t i = first; i < last; i++) {",
        *["if (!g->sizes[i]) continue;"] * has_means,  # a mean of nothing
        *w.of_tensor(targets, names),
        *w.memory((), new),
        *(w.store(name, names[node], "0") for name, node in new.items()),
        "}",
    ]
    return function("finish", body)


def function(name: str, body: Iterable[str]) -> str:
    lines = "\n".join(body)
    return f"void {name}(const group *g, int64_t first, int64_t last) {{\n{lines}\n}}\n"
