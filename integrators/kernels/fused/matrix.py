"""The C source of an optimizer's call on matrices, for dynamics that know rows and columns."""

from collections.abc import Mapping, Sequence

from ..c_code import statements
from ..errors import NoKernelError
from ..recording.expression import Node, in_order
from .flat import Writer, function, preamble
from .trace import FusedTrace, Sum

_CHUNKS = [
    "for (int64_t chunk = first, i = tensor_of(g, first); chunk < last; chunk++) {",
    "while (g->begins[i + 1] <= chunk) i++;",
    "const int64_t columns = g->columns[i], rows = g->sizes[i] / columns;",
    "const int64_t from = (chunk - g->begins[i]) * g->heights[i];",
    "const int64_t to = least(from + g->heights[i], rows);",
]


def matrix_source(trace: FusedTrace, dtypes: Mapping[str, str]) -> str:
    """`pass_0`, `lines_0`, ... for the sums of each level, `write`, and `finish`.

    A pass goes through chunks of rows; `lines` through tensors, for the sums of numbers that rows
    or columns have one of, and to put together what the chunks have added up.
    """
    if trace.is_shared:
        raise NoKernelError("no kernel adds up a whole group and rows or columns as well")
    writer = Writer(trace, dtypes)
    passes = [
        text
        for number, level in enumerate(trace.levels)
        for text in (_pass(writer, number, level), _lines(writer, number, level))
    ]
    return "\n".join((preamble(dtypes), *passes, _write(writer), _finish(writer)))


def _of_row(w: Writer, targets: Sequence[Node], names: dict[Node, str]) -> list[str]:
    """What is the same for all elements of row r."""
    needed = [node for node in in_order(targets) if w.axes_of(node) == "r"]
    loads = [w.load(node, "r", names) for node in needed if node.op == "input"]
    return loads + statements(needed, names)


def _of_element(
    w: Writer, targets: Sequence[Node], names: dict[Node, str], start: str
) -> list[str]:
    """What differs from element to element, at column `start` + e of row r."""
    places = {"rc": f"r * columns + {start}e", "c": f"{start}e"}
    loads = [
        w.load(node, places[axes], names) for axes in places for node in w.inputs(targets, axes)
    ]
    return loads + statements(targets, names)


def _write(w: Writer) -> str:
    new = w.outputs("rc")
    targets = list(new.values())
    names: dict[Node, str] = {}
    body = [
        *w.uniform(targets, names),
        *_CHUNKS,
        *w.of_tensor(targets, names),
        *w.memory(w.inputs(targets, "r", "c", "rc"), new),
        "for (int64_t r = from; r < to; r++) {",
        *_of_row(w, targets, names),
        "#pragma GCC ivdep",
        "for (int64_t e = 0; e < columns; e++) {",
        *_of_element(w, targets, names, ""),
        *(w.store(name, names[node], "r * columns + e") for name, node in new.items()),
        "}",
        "}",
        "}",
    ]
    return function("write", body)


def _pass(w: Writer, number: int, level: Sequence[Sum]) -> str:
    """The sums of a level over rows and columns of elements."""
    sums = [one for one in level if w.axes_of(one.source) == "rc"]
    if not sums:
        return function(f"pass_{number}", ["(void)g, (void)first, (void)last;"])
    sources = list(dict.fromkeys(one.source for one in sums))
    along = [(w.numbers[one.result], sources.index(one.source)) for one in sums if one.over == "c"]
    down = [(w.numbers[one.result], sources.index(one.source)) for one in sums if one.over == "r"]
    names: dict[Node, str] = {}
    place = "g->offsets[{k} * g->tensors + i]"
    body = [
        *w.uniform(sources, names),
        *_CHUNKS,
        *w.of_tensor(sources, names),
        *w.memory(w.inputs(sources, "r", "c", "rc")),
        *(f"double *row_{k} = g->lines + {place.format(k=k)};" for k, _ in along),
        *(
            f"double *restrict column_{k} = g->lines + {place.format(k=k)} + "
            "columns * (chunk - g->begins[i] + 1);"
            for k, _ in down
        ),
        *(f"for (int64_t e = 0; e < columns; e++) column_{k}[e] = 0;" for k, _ in down),
        "for (int64_t r = from; r < to; r++) {",
        *_of_row(w, sources, names),
        *(f"double total_{k} = 0;" for k, _ in along),
        "for (int64_t at = 0; at < columns; at += BLOCK) {",
        "const int64_t count = least(BLOCK, columns - at);",
        *(f"double values_{v}[BLOCK];" for v in range(len(sources))),
        "#pragma GCC ivdep",
        "for (int64_t e = 0; e < count; e++) {",
        *_of_element(w, sources, names, "at + "),
        *(f"values_{v}[e] = {names[source]};" for v, source in enumerate(sources)),
        "}",
    ]
    body += [
        *(
            f"for (int64_t e = 0; e < count; e++) column_{k}[at + e] += values_{v}[e];"
            for k, v in down
        ),
        *(f"for (int64_t e = count; e < BLOCK; e++) values_{v}[e] = 0;" for _, v in along),
        *(f"total_{k} += block_sum(values_{v});" for k, v in along),
        "}",
        *(f"row_{k}[r] = total_{k} / (double)columns;" for k, _ in along),
        "}",
        "}",
    ]
    return function(f"pass_{number}", body)


def _lines(w: Writer, number: int, level: Sequence[Sum]) -> str:
    """Column means from those of the chunks, and the means of rows' and columns' own numbers."""
    body = [
        "for (int64_t i = first; i < last; i++) {",
        "if (!g->sizes[i]) continue;",
        "const int64_t columns = g->columns[i], rows = g->sizes[i] / columns;",
        "const int64_t chunks = g->begins[i + 1] - g->begins[i];",
        "(void)rows, (void)chunks;",
    ]
    for one in level:
        k, axes = w.numbers[one.result], w.axes_of(one.source)
        if axes == "rc" and one.over == "r":
            body.append(
                f"add_chunks(g->lines + g->offsets[{k} * g->tensors + i], columns, chunks, rows);"
            )
    for axis, count in (("r", "rows"), ("c", "columns")):
        sums = [one for one in level if w.axes_of(one.source) == axis]
        body += _line(w, sums, axis, count)
    return function(f"lines_{number}", [*body, "}"])


def _line(w: Writer, sums: Sequence[Sum], axis: str, count: str) -> list[str]:
    """The sums of one number per row, or of one per column."""
    if not sums:
        return []
    sources = [one.source for one in sums]
    indices = [w.numbers[one.result] for one in sums]
    names: dict[Node, str] = {}
    leaves = w.inputs(sources, axis)
    return [
        "{",
        *w.uniform(sources, names),
        *w.of_tensor(sources, names),
        *w.memory(leaves),
        *(f"double total_{k} = 0;" for k in indices),
        f"for (int64_t at = 0; at < {count}; at += BLOCK) {{",
        f"const int64_t count = least(BLOCK, {count} - at);",
        *(f"double values_{k}[BLOCK] = {{0}};" for k in indices),
        "#pragma GCC ivdep",
        "for (int64_t e = 0; e < count; e++) {",
        *(w.load(leaf, "at + e", names) for leaf in leaves),
        *statements(sources, names),
        *(f"values_{k}[e] = {names[s]};" for k, s in zip(indices, sources, strict=True)),
        "}",
        *(f"total_{k} += block_sum(values_{k});" for k in indices),
        "}",
        *(f"g->sums[{k} * g->tensors + i] = total_{k} / (double){count};" for k in indices),
        "}",
    ]


def _finish(w: Writer) -> str:
    """What becomes of the numbers of rows, columns and tensors, when all passes are done."""
    everything = list(w.outputs("r", "c", "").values())
    names: dict[Node, str] = {}
    body = [
        *w.uniform(everything, names),
        "for (int64_t i = first; i < last; i++) {",
        "if (!g->sizes[i]) continue;",
        "const int64_t columns = g->columns[i], rows = g->sizes[i] / columns;",
        "(void)rows;",
        *w.of_tensor(everything, names),
    ]
    for axis, count in (("r", "rows"), ("c", "columns"), ("", "1")):
        new = w.outputs(axis)
        targets = list(new.values())
        local = dict(names)
        leaves = w.inputs(targets, axis) if axis else []
        body += [
            "{",
            *w.memory(leaves, new),
            f"for (int64_t e = 0; e < {count}; e++) {{",
            *(w.load(leaf, "e", local) for leaf in leaves),
            *statements(targets, local),
            *(w.store(name, local[node], "e") for name, node in new.items()),
            "}",
            "}",
        ]
    return function("finish", [*body, "}"])
