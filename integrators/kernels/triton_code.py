"""Recorded arithmetic as lines of Triton, and lines of Triton as kernels.

Values of kind "element" are blocks of the type E (tl.float32 or tl.float64) of the kernel, all
others are float64: blocks, or one number. An operation on coordinates casts its other operands
first, as torch does with the numbers of a step. Triton comes with torch where there is CUDA; it is
imported when a kernel is made, and only then.
"""

import hashlib
import linecache
import math
import os
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch

from .recording.expression import FUNCTIONS, Node, in_order

_INFIX = {"add": "+", "sub": "-", "mul": "*"}
_CALLED = ("div", "pow", *(name for name in FUNCTIONS if name not in ("abs", "widen")))
_HEADER = f"""\
import triton
import triton.language as tl
from dashpot.integrators.kernels.triton_functions import {", ".join(_CALLED)}
from dashpot.integrators.kernels.runs.triton_philox import normals
from dashpot.integrators.kernels.fused.triton_rounding import rounding_bits, rounding_key
from dashpot.integrators.kernels.fused.triton_rounding import to_bfloat16
"""


def has_triton() -> bool:
    return find_spec("triton") is not None


def is_interpreted() -> bool:
    """Whether Triton runs kernels step by step on the CPU: slowly, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def element_type(dtype: torch.dtype) -> Any:
    """The type in which a kernel computes for tensors of a type."""
    import triton.language as tl  # pyright: ignore[reportMissingImports]

    return tl.float64 if dtype == torch.float64 else tl.float32


class Lines:
    """Lines of a kernel as they are written, one value a line, and the names of the values.

    prefix   what names begin with
    before   lines that come before, whose values can be used
    """

    def __init__(self, prefix: str = "v", indent: int = 1, before: "Lines | None" = None) -> None:
        self.text: list[str] = []
        self._prefix, self._indent = prefix, "    " * indent
        self._names = dict(before._names) if before else {}
        self._cast = dict(before._cast) if before else {}

    def add(self, *lines: str) -> None:
        self.text += [self._indent + line for line in lines]

    def call(self, node: Node, name: str) -> None:
        """The value of a node is there, under a name."""
        self._names[node] = name

    def give(self, node: Node, expression: str) -> None:
        """A line that makes the value of a node."""
        self.call(node, f"{self._prefix}{node.number}")
        self.add(f"{self._names[node]} = {expression}")

    def name(self, node: Node) -> str:
        return self._names[node]

    def compute(self, nodes: Iterable[Node]) -> None:
        """Everything the nodes are made of that has not been written yet.

        Raises KeyError for an input that was not given.
        """
        for node in in_order(nodes, stop=self._names):
            if node in self._names:
                continue
            if node.op == "input":
                raise KeyError(f"the kernel has no value for {node}")
            self.give(node, self._operation(node))

    def cast(self, nodes: Iterable[Node]) -> None:
        """The numbers among the nodes as E, here and now: before a loop, rather than in it."""
        for node in nodes:
            if node.kind != "element" and node not in self._cast:
                self._cast[node] = f"{self._names[node]}_E"
                self.add(f"{self._cast[node]} = {self._names[node]}.to(E)")

    def _operation(self, node: Node) -> str:
        if node.op == "constant":
            return f"tl.full((), {literal(node.value)}, tl.float64)"
        if node.op == "widen":
            return f"{self._names[node.args[0]]}.to(tl.float64)"
        operands = [self._operand(a, node.kind == "element") for a in node.args]
        if node.op in _INFIX:
            return f" {_INFIX[node.op]} ".join(operands)
        if node.op == "neg":
            return f"-{operands[0]}"
        return f"{'tl.abs' if node.op == 'abs' else node.op}({', '.join(operands)})"

    def _operand(self, node: Node, of_element: bool) -> str:
        if not of_element or node.kind == "element":
            return self._names[node]
        return self._cast.get(node) or f"{self._names[node]}.to(E)"


def literal(value: float) -> str:
    """The number, to the last bit, as Triton reads it."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def function(name: str, arguments: Sequence[str], body: Sequence[str], plain: Sequence[str]) -> str:
    """A kernel's text; `plain` names the whole numbers whose values make no other kernel."""
    return (
        f"\n\n@triton.jit(do_not_specialize={[*plain]!r})\n"
        f"def {name}({', '.join(arguments)}):\n" + "\n".join(body) + "\n"
    )


@cache
def kernels(text: str) -> dict[str, Any]:
    """The kernels of a text, by name; Triton keeps what it compiles on disk, by content.

    Triton reads a kernel's text again through `inspect`: it is kept where that looks first, not in
    a file that another could change.
    """
    whole = _HEADER + text
    name = f"<dashpot {hashlib.sha256(whole.encode()).hexdigest()}>"
    linecache.cache[name] = (len(whole), None, whole.splitlines(keepends=True), name)
    made: dict[str, Any] = {"__name__": "dashpot.generated"}
    exec(compile(whole, name, "exec"), made)
    return made
