"""The error term of a word, evaluated on vector fields: what one step really does wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from problems import CoupledQuartic, Flat, ordinary_start, slope
from torch import Tensor

from dashpot.dynamics import (
    CADAM,
    CD,
    LDHD,
    Drift,
    Dynamics,
    Kick,
    Part,
    State,
)
from dashpot.integrators import Word, simulate, solve
from dashpot.integrators.words.order import Term

ldhd, cd = LDHD(gamma=0.7), CD(gamma=0.4, c=0.8)
cadam = CADAM(gamma=0.5, alpha=0.6, c=0.5, eps=0.1)
RUTH = "B:7/24A:2/3B:3/4A:-2/3B:-1/24A:1"  # Ruth 1983, order 3

Field = Callable[[Tensor], Tensor]


def fields(dynamics: Dynamics) -> dict[str, Field]:
    """The vector field of every part on the stacked state, on the coupled quartic."""
    names, landscape = dynamics.variables, CoupledQuartic()

    def of(letter: str) -> Field:
        def field(y: Tensor) -> Tensor:
            s = State(dict(zip(names, y, strict=True)))
            s.g = landscape.df(s.x)
            rate = dynamics.parts[letter].rate(s)
            return torch.stack([rate.get(n, torch.zeros_like(s.x)) for n in names])

        return field

    return {letter: of(letter) for letter in dynamics.parts}


def bracket(x: Field, y: Field) -> Field:
    """(X·∇) Y − (Y·∇) X."""

    def field(u: Tensor) -> Tensor:
        along_x = torch.func.jvp(y, (u,), (x(u),))[1]
        along_y = torch.func.jvp(x, (u,), (y(u),))[1]
        return along_x - along_y

    return field


def evaluated(error: Sequence[Term], known: dict[str, Field], u: Tensor) -> Tensor:
    def of(tree: Any) -> Field:
        return known[tree] if isinstance(tree, str) else bracket(of(tree[0]), of(tree[1]))

    return sum((float(t.coefficient) * of(t.commutator)(u) for t in error), torch.zeros_like(u))


def start_of(dynamics: Dynamics) -> Tensor:
    start = ordinary_start(dynamics)
    return torch.tensor([start[n] for n in dynamics.variables], dtype=torch.float64)


@pytest.mark.parametrize(
    ("dynamics", "word"),
    [
        (ldhd, "BAD"),
        (ldhd, "BADAB"),
        (cd, "BACD"),
        (cd, "BCDADCB"),
        (cadam, "EBCDADCBE"),
        (Dynamics(Drift(), Kick()), RUTH),
    ],
)
def test_the_error_of_one_step_is_the_error_term(dynamics: Dynamics, word: str) -> None:
    """(step − flow)/h^{p+1} = E + O(h): the distance to E falls with slope 1."""
    found = Word(word, dynamics).order()
    expected = evaluated(found.error, fields(dynamics), start_of(dynamics))
    start = ordinary_start(dynamics)
    sizes = [2.0**-k for k in (5, 6, 7)]
    distances = []
    for h in sizes:
        run = simulate(dynamics, CoupledQuartic(), start, step=h, steps=1, word=word)
        exact = solve(dynamics, CoupledQuartic(), start, until=h, times=[h], rtol=1e-13, atol=1e-15)
        errors = torch.stack([run[n][-1] - exact[n][-1] for n in dynamics.variables])
        distances.append((errors / h ** (found.order + 1) - expected).abs().max().item())
    assert distances[-1] < 0.05 * expected.abs().max().item()
    assert slope(sizes, distances) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("dynamics", "word", "relations"),
    [
        (cadam, "EBCDADCBE", None),
        (cadam, "BCADE", None),
        (LDHD(0.0), "BADAB", ("[B,[B,[B,A]]]", "[A,D]", "[B,D]")),
        (Dynamics(Drift(), Kick()), RUTH, ("[B,[B,[B,A]]]",)),
        (Dynamics(Drift(), Kick()), "yoshida(BAB)", ("[B,[B,[B,A]]]",)),
    ],
)
def test_true_relations_do_not_change_the_error(
    dynamics: Dynamics, word: str, relations: tuple[str, ...] | None
) -> None:
    """Fewer terms, the same vector."""
    known, at = fields(dynamics), start_of(dynamics)
    free = Word(word, dynamics).order(relations=())
    modulo = Word(word, dynamics).order(relations=relations)
    assert len(modulo.error) < len(free.error)
    assert free.order == modulo.order
    a, b = evaluated(free.error, known, at), evaluated(modulo.error, known, at)
    assert (a - b).abs().max() < 1e-11 * a.abs().max()  # sums of a few dozen rounded terms


class Square(Part):
    """p' = 2p²; exact flow p/(1 − 2hp)."""

    letter, reads, writes = "C", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": 2 * s.p * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p / (1 - 2 * h * s.p)


class RoughSquare(Part):
    """p' = p², roughly: S = G½ F G½ with F the exact flow p/(1 − hp) and G that of p' = h² p³.

    By BCH log S = hF + h³G − h⁵/12 [F,[G,F]] + …, with [p^m, p^n] = (n − m) p^{m+n−1}:
    F₃ = p³ and F₅ = p⁵/6.
    """

    letter, reads, writes, kind = "F", ("p",), ("p",), "symmetric"

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": s.p * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p / (1 - h**3 * s.p * s.p) ** 0.5
        s.p = s.p / (1 - h * s.p)
        s.p = s.p / (1 - h**3 * s.p * s.p) ** 0.5


def test_a_relation_between_two_fields_says_nothing_about_their_corrections() -> None:
    """[C,F] = 0, and yet C does not commute with the approximate flow of F: one step knows."""
    dynamics = Dynamics(Drift(), Square(), RoughSquare())
    word, start = "yoshida(CFAFC)", 0.7
    monomials = {"C": (2, 2.0), "F": (2, 1.0), "F₃": (3, 1.0), "F₅": (5, 1 / 6)}

    def monomial(tree: Any) -> tuple[int, float]:
        """(m, a) of the field a pᵐ."""
        if isinstance(tree, str):
            return monomials[tree]
        (m, a), (n, b) = monomial(tree[0]), monomial(tree[1])
        return m + n - 1, (n - m) * a * b

    found = Word(word, dynamics).order(relations=("[C,F]",))
    assert found.order == 4
    expected = 0.0
    for term in found.error:
        if "A" not in term.text:  # commutators with A change x only
            m, a = monomial(term.commutator)
            expected += float(term.coefficient) * a * start**m
    sizes, distances = [2.0**-k for k in (5, 6, 7)], []
    for h in sizes:
        x0 = {"x": [0.0], "p": [start]}
        run = simulate(dynamics, Flat([0.0]), x0, step=h, steps=1, word=word)
        error = run["p"][-1].item() - start / (1 - 3 * h * start)
        distances.append(abs(error / h**5 - expected))
    assert distances[-1] < 0.2 * abs(expected)
    assert slope(sizes, distances) == pytest.approx(1.0, abs=0.15)
