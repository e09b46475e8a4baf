"""Fingerprints: the same for the same code and data, others for others."""

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from dashpot.integrators.ensembles.fingerprint import fingerprint, is_told_by_repr

LEVEL = 1.0


@dataclass(frozen=True, slots=True)
class Slots:
    function: Callable[..., Any]


@dataclass(frozen=True)
class Holder:
    function: Callable[..., Any]
    name: str = "a"


def over(level: Any) -> Callable[[Any], Any]:
    return lambda x: x > level


def reads(x: float) -> bool:
    return x > LEVEL


def calls(x: float) -> bool:
    return reads(x)


def recurs(x: int) -> int:
    return 1 if x == 0 else recurs(x - 1)


def test_the_same_twice() -> None:
    for make in (
        lambda: over(1.0),
        lambda: Holder(over(torch.tensor([1.0, 2.0]))),
        lambda: functools.partial(over(np.arange(3)), 2),
        lambda: recurs,
        lambda: calls,
        lambda: {"a": {1, 2}, "b": (torch.sin, np.exp, torch, dict)},
        lambda: Slots(over((range(3), torch.float32, torch.ones(2, dtype=torch.cfloat).conj()))),
        lambda: iter,
        lambda: over(x for x in "abc"),
    ):
        assert fingerprint(make()) == fingerprint(make())


def test_others_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        over(1.0), over(2.0), over(1), over(torch.tensor(1.0)), over(torch.tensor(1.0).double()),
        lambda x: x < 1.0, lambda x: x > 1.0, lambda x, y=1.0: x > y, lambda x, y=2.0: x > y,
        torch.sin, torch.cos, reads, calls, recurs,
        Holder(over(1.0)), Holder(over(2.0)), Holder(over(1.0), "b"),
        functools.partial(max, 1), functools.partial(max, 2), [1, 2], [[1], 2],
        over(range(3)), over(range(4)), over(torch.float32), over(torch.float64),
        Slots(over(1.0)), Slots(over(2.0)), Slots(over(Decimal(1))), Slots(over(Decimal(2))),
        torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16),
    ]  # fmt: skip
    before = [fingerprint(one) for one in made]
    assert len(set(before)) == len(made)
    monkeypatch.setitem(globals(), "LEVEL", 2.0)
    after = [fingerprint(one) for one in made]
    changed = [one for one, a, b in zip(made, before, after, strict=True) if a != b]
    assert changed == [reads, calls]


def test_another_process_agrees() -> None:
    """Sets are in another order there, addresses are others."""
    text = "lambda x: x in {'a', 'b', 'c', 'd', 'e'} or x is torch"
    program = (
        "import torch; from dashpot.integrators.ensembles.fingerprint import fingerprint; "
        f"print(fingerprint({text}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == fingerprint(eval(text, {"torch": torch}))


def test_what_a_repr_tells() -> None:
    assert is_told_by_repr(("a", 1.0, None, (2, b"c")))
    assert not is_told_by_repr((1, over(1.0))) and not is_told_by_repr(np.zeros(2000))
