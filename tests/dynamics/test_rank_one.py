"""Rank-one friction: its reductions, its flow, its identities, and where it is that of IKFAD."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ULP, CoupledMatrix, slope
from scipy.integrate import solve_ivp

from dashpot.dynamics import (
    IKFAD,
    RIKFAD,
    Drift,
    Dynamics,
    Kick,
    Part,
    RankOneFriction,
    State,
    check,
    elements,
)
from dashpot.dynamics.elements import exp
from dashpot.integrators import Word, simulate, solve
from dashpot.integrators.bundle import Bundle
from dashpot.landscapes import MatrixQuadratic, Quadratic

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)


def random_state(m: int, n: int, seed: int = 0) -> dict[str, Any]:
    """A momentum and frictions of one mean, as numpy arrays."""
    draw = np.random.default_rng(seed)
    rows, cols = draw.uniform(0.1, 2, (m, 1)), draw.uniform(0.1, 2, (1, n))
    return {"p": draw.normal(size=(m, n)), "rows": rows, "cols": cols * rows.mean() / cols.mean()}


def friction(rows: Any, cols: Any, eps: float) -> Any:
    """Ξ by its definition, from r [m] and s [n]."""
    return np.outer(rows, cols) / (np.mean(rows) + eps)


# --- the reductions -------------------------------------------------------------------------------


def test_means_of_rows_and_columns() -> None:
    x = np.array([[1.0, 2.0, 6.0], [0.0, 4.0, 8.0]])
    systems = np.stack([x, 10 * x], axis=-1)  # coordinates first, two systems
    for value in (systems, torch.from_numpy(systems)):
        assert torch.as_tensor(elements.rowmean(value, 2))[..., 0].tolist() == [[3.0], [4.0]]
        assert torch.as_tensor(elements.colmean(value, 2))[..., 1].tolist() == [[5.0, 30.0, 70.0]]
        # as vectors: three systems in a row
        assert elements.rowmean(value, 1) is value
        assert (
            torch.as_tensor(elements.colmean(value, 1)).tolist() == systems.mean(0)[None].tolist()
        )
        assert elements.colmean(value, 0) is value
    deep = torch.arange(24.0).reshape(2, 3, 4)
    assert elements.rowmean(deep, 3).flatten().tolist() == [5.5, 17.5]
    assert torch.equal(elements.colmean(deep, 3), (deep[:1] + deep[1:]) / 2)
    assert (elements.rowmean(2.5, 2), elements.colmean(2.5, 2)) == (2.5, 2.5)


def test_a_bundle_reduces_each_tensor_by_its_own_axes() -> None:
    tensors = [torch.arange(6.0).reshape(2, 3), torch.arange(3.0), torch.tensor(7.0)]
    rows = Bundle(tensors).rowmean().tensors
    assert [t.tolist() for t in rows] == [[[1.0], [4.0]], [0.0, 1.0, 2.0], 7.0]
    cols = Bundle(tensors).colmean().tensors
    assert [t.tolist() for t in cols] == [[[1.5, 2.5, 3.5]], [1.0], 7.0]
    chosen = elements.where_matrix(Bundle(tensors), Bundle([-t for t in tensors]), 1).tensors
    assert [t.sum().item() for t in chosen] == [15.0, -3.0, -7.0]


def test_arrays_tensors_and_bundles_give_the_same_numbers_on_a_matrix() -> None:
    part = RankOneFriction(0.4, 0.8, 0.1)
    numbers = random_state(4, 3)
    tensors = {name: torch.from_numpy(value) for name, value in numbers.items()}
    states = [
        State(numbers, rank=2),
        State(tensors, rank=2),
        State({name: Bundle([value]) for name, value in tensors.items()}),
    ]

    def number(value: Any) -> Any:
        return torch.as_tensor(value.tensors[0] if isinstance(value, Bundle) else value)

    for name in part.writes:
        rates = [number(part.rate(s)[name]) for s in states]
        for rate in rates[1:]:
            torch.testing.assert_close(rate, rates[0], rtol=4 * ULP, atol=4 * ULP)
    for s in states:
        part.flow(s, 0.3)
    for name in part.writes:
        for s in states[1:]:
            expected = number(getattr(states[0], name))
            torch.testing.assert_close(number(getattr(s, name)), expected, rtol=8 * ULP, atol=0)


# --- the part -------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_rate_is_the_definition(eps: float) -> None:
    alpha, mu, v = 0.4, 0.8, random_state(4, 3)
    rates = RankOneFriction(alpha, mu, eps).rate(State(v, rank=2))
    p, r, s = v["p"], v["rows"][:, 0], v["cols"][0]
    np.testing.assert_allclose(rates["p"], -friction(r, s, eps) * p, rtol=1e-15)
    np.testing.assert_allclose(rates["rows"][:, 0], (p**2).sum(1) / 3 / mu - alpha * r, rtol=1e-13)
    np.testing.assert_allclose(rates["cols"][0], (p**2).sum(0) / 4 / mu - alpha * s, rtol=1e-13)


def test_flow_is_of_second_order() -> None:
    part, v = RankOneFriction(0.4, 0.8, 0.1), random_state(4, 3)

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        p, r, s = y[:12].reshape(4, 3), y[12:16], y[16:]
        return np.concatenate([
            (-friction(r, s, 0.1) * p).ravel(),
            (p**2).mean(1) / 0.8 - 0.4 * r,
            (p**2).mean(0) / 0.8 - 0.4 * s,
        ])  # fmt: skip

    y0 = np.concatenate([value.ravel() for value in v.values()])
    exact = solve_ivp(rate, (0, 1), y0, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    errors, counts = [], (16, 32, 64)
    for n in counts:
        s = State(v, rank=2)
        for _ in range(n):
            part.flow(s, 1 / n)
        errors.append(np.abs(np.concatenate([s.p.ravel(), s.rows.ravel(), s.cols[0]]) - exact))
    worst = [error.max() for error in errors]
    assert slope([1 / n for n in counts], worst) == pytest.approx(2.0, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, m=sizes, n=sizes, h=st.floats(1e-3, 3.0), eps=st.sampled_from([0.0, 0.2]))
def test_invariants_of_the_flow(seed: int, m: int, n: int, h: float, eps: float) -> None:
    part, v = RankOneFriction(0.4, 0.8, eps), random_state(m, n, seed)
    s = State(v, rank=2)
    part.flow(s, h)
    assert (s.rows > 0).all() and (s.cols > 0).all()
    assert (np.sign(s.p) == np.sign(v["p"])).all() and (np.abs(s.p) < np.abs(v["p"])).all()
    mean = s.rows.mean()
    assert s.cols.mean() == pytest.approx(mean, rel=1e-14)
    assert part.friction(s).mean() == pytest.approx(mean * mean / (mean + eps), rel=1e-14)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, m=sizes, n=sizes)
def test_sums_instead_of_means_give_the_same_friction(seed: int, m: int, n: int) -> None:
    """With r = n·rows, s = m·cols, which sums of P² drive, and Z = Σ r."""
    part, v = RankOneFriction(0.4, 0.8), random_state(m, n, seed)
    s = State(v, rank=2)
    part.flow(s, 0.7)
    r, c = n * s.rows[:, 0], m * s.cols[0]
    np.testing.assert_allclose(part.friction(s), np.outer(r, c) / r.sum(), rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_friction_neither_overflows_nor_divides_by_zero(dtype: torch.dtype) -> None:
    part = RankOneFriction(0.4, 0.8)

    def of(rows: float, cols: float) -> list[float]:
        s = State({"rows": torch.full((2, 1), rows, dtype=dtype),
                   "cols": torch.full((1, 2), cols, dtype=dtype)}, rank=2)  # fmt: skip
        return part.friction(s).flatten().tolist()

    large = 0.1 * torch.finfo(dtype).max
    assert of(large, large) == pytest.approx([large] * 4, rel=1e-6)
    assert of(0.0, 0.0) == of(0.0, 1.0) == [0.0] * 4


# --- where it is the friction of IKFAD ------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_one_row_or_column_is_ikfad(shape: tuple[int, int]) -> None:
    vector, matrix = Quadratic([1.0, 2.0, 4.0, 7.0]), CoupledMatrix(*shape)
    x0 = torch.tensor([1.0, -0.5, 0.8, 0.3], dtype=torch.float64).reshape(shape)
    settings: dict[str, Any] = {"step": 0.05, "steps": 200, "word": "BCDADCB"}
    ours = simulate(RIKFAD(0.1, 0.4, 0.8), matrix, x0, **settings)
    theirs = simulate(IKFAD(0.1, 0.4, 0.8), matrix, x0, **settings)
    assert (ours["x"] - theirs["x"]).abs().max() < 1e-14
    assert (ours["p"] - theirs["p"]).abs().max() < 1e-14
    own = ours["rows" if shape[1] == 1 else "cols"]
    assert (own - theirs["xi"]).abs().max() < 1e-14
    # with ε > 0 the matrix has its own friction, the vector still that of IKFAD, bit for bit
    other = simulate(RIKFAD(0.1, 0.4, 0.8, 0.3), matrix, x0, **settings)
    assert (other["x"] - theirs["x"]).abs().max() > 1e-3
    ours = simulate(RIKFAD(0.1, 0.4, 0.8, 0.3), vector, x0.flatten(), **settings)
    theirs = simulate(IKFAD(0.1, 0.4, 0.8), vector, x0.flatten(), **settings)
    assert torch.equal(ours["x"], theirs["x"]) and torch.equal(ours["rows"], theirs["xi"])
    assert (ours["cols"][:, 0] - ours["rows"].mean(-1)).abs().max() < 1e-14


# --- the dynamics ---------------------------------------------------------------------------------

MADE = RIKFAD(gamma=0.2, alpha=0.5, mu=0.7, eps_stab=0.1)
SYSTEMS = 3


def matrix_start() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(4)
    start = {n: torch.randn(SYSTEMS, 3, 2, generator=draw, dtype=torch.float64) for n in "xp"}
    rows = torch.rand(SYSTEMS, 3, 1, generator=draw, dtype=torch.float64)
    return {**start, "rows": rows, "cols": torch.full((1, 2), 0.4, dtype=torch.float64)}


def test_shapes_that_users_see() -> None:
    run = simulate(MADE, CoupledMatrix(), matrix_start(), step=0.1, steps=7)
    shapes = {name: tuple(value.shape) for name, value in run.states.items()}
    assert shapes == {
        "x": (8, SYSTEMS, 3, 2),
        "p": (8, SYSTEMS, 3, 2),
        "rows": (8, SYSTEMS, 3, 1),
        "cols": (8, SYSTEMS, 1, 2),
    }
    assert torch.equal(run["rows"][0], matrix_start()["rows"])
    # a system does not see the others
    alone = {name: value[1] if value.ndim == 3 else value for name, value in matrix_start().items()}
    one = simulate(MADE, CoupledMatrix(), alone, step=0.1, steps=7)
    for name, value in one.states.items():
        assert (value - run[name][:, 1]).abs().max() < 1e-14


def test_a_start_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x0\['rows'\] must have shape \(3, 1\)"):
        simulate(MADE, CoupledMatrix(), {"rows": torch.zeros(3, 2)}, step=0.1, steps=1)


def test_of_more_axes_the_first_are_the_rows() -> None:
    x0 = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    settings: dict[str, Any] = {"step": 0.1, "steps": 20}
    deep = simulate(MADE, CoupledMatrix(3, 2, 2), x0, **settings)
    flat = simulate(MADE, CoupledMatrix(3, 4), x0.reshape(3, 4), **settings)
    assert deep["rows"].shape == (21, 3, 1, 1) and deep["cols"].shape == (21, 1, 2, 2)
    for name in MADE.variables:
        assert (deep[name].flatten(2) - flat[name].flatten(2)).abs().max() < 1e-14


@pytest.mark.parametrize(("word", "order"), [("BACD", 1), ("BCDADCB", 2), ("BACDCAB", 2)])
def test_orders_of_words(word: str, order: int) -> None:
    start = matrix_start()
    exact = solve(MADE, CoupledMatrix(), start, until=1.0, times=[1.0], rtol=1e-12, atol=1e-14)
    counts, errors = (64, 128, 256), []
    for n in counts:
        run = simulate(MADE, CoupledMatrix(), start, step=1 / n, steps=n, word=word, save_every=n)
        errors.append(max((run[k][-1] - exact[k][-1]).abs().max().item() for k in run.states))
    assert Word(word, MADE).order().order == order
    assert slope([1 / n for n in counts], errors) == pytest.approx(order, abs=0.07)


@pytest.mark.parametrize("given", ["x", "xp", ("x", "p", "rows", "cols")])
def test_a_composed_word_of_order_four(given: str | tuple[str, ...]) -> None:
    """Also from rest, where its negative step makes the frictions negative."""
    start = {name: value for name, value in matrix_start().items() if name in given}
    exact = solve(MADE, CoupledMatrix(), start, until=1.0, times=[1.0], rtol=1e-13, atol=1e-15)
    counts, errors = (16, 24, 32), []
    for n in counts:
        run = simulate(
            MADE, CoupledMatrix(), start, step=1 / n, steps=n, word="yoshida(BCDADCB)", save_every=n
        )
        errors.append(max((run[k][-1] - exact[k][-1]).abs().max().item() for k in run.states))
    assert slope([1 / n for n in counts], errors) == pytest.approx(4, abs=0.15)


def test_negative_frictions_of_one_row_are_those_of_ikfad() -> None:
    """From rest the negative step of a composed word makes them negative."""
    settings: dict[str, Any] = {"step": 0.05, "steps": 40, "word": "yoshida(CBDADBC)"}
    ours = simulate(RIKFAD(0.1, 0.4, 0.8), CoupledMatrix(1, 4), **settings)
    theirs = simulate(IKFAD(0.1, 0.4, 0.8), CoupledMatrix(1, 4), **settings)
    assert (ours["x"] - theirs["x"]).abs().max() < 1e-14
    part = RankOneFriction(0.4, 0.8)
    s = State({"p": np.ones((1, 2)), "rows": np.zeros((1, 1)), "cols": np.zeros((1, 2))}, rank=2)
    part.flow(s, -0.1)
    assert s.rows.item() < 0
    np.testing.assert_allclose(part.friction(s), s.cols, rtol=1e-15)


def test_solvers_agree() -> None:
    times = [0.5, 1.0]
    settings: dict[str, Any] = {"until": 1.0, "times": times}
    scipy = solve(MADE, CoupledMatrix(), matrix_start(), rtol=1e-11, **settings)
    torchdiffeq = solve(
        MADE, CoupledMatrix(), matrix_start(), method="dopri5", rtol=1e-9, atol=1e-11, **settings
    )
    for name in MADE.variables:
        torch.testing.assert_close(torchdiffeq[name], scipy[name], rtol=0, atol=1e-7)


def test_equal_means_stay_equal_along_a_run() -> None:
    start = {name: value for name, value in matrix_start().items() if name in "xp"}
    run = simulate(RIKFAD(0.2, 0.5, 0.7), CoupledMatrix(), start, step=0.05, steps=300)
    means = run["rows"].mean((-2, -1))
    assert means.max() > 0.1
    assert (run["cols"].mean((-2, -1)) - means).abs().max() < 1e-14


def test_energy_falls_by_both_frictions() -> None:
    """H' = −γ|P|² − Σ ΞP² = d/dt of the sum of f and ½|P|², along a reference solution."""
    run = solve(MADE, CoupledMatrix(), matrix_start(), until=3.0, rtol=1e-11)
    s = State({n: v.movedim((-2, -1), (0, 1)) for n, v in run.states.items()}, rank=2)
    s.g = CoupledMatrix().df(s.x)
    xi = s.rows * s.cols / (s.rows.mean(0, keepdim=True) + 0.1)
    expected = -((0.2 + xi) * s.p**2).sum((0, 1))
    torch.testing.assert_close(MADE.energy_rate(s), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(Dynamics.energy_rate(MADE, s), expected, rtol=0, atol=1e-10)
    assert torch.equal(run.energy, run.mechanical_energy)
    assert run.energy.diff(dim=0).max() < 0


def test_hyperparameters_may_differ_between_trajectories() -> None:
    x0 = torch.randn(3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    bowl = MatrixQuadratic([1.0, 2.0, 3.0], 2, rotation=0)
    eps = torch.tensor([0.0, 0.1], dtype=torch.float64)
    both = simulate(RIKFAD(0.1, 0.5, 0.7, eps), bowl, x0.expand(2, 3, 2), step=0.1, steps=50)
    for index, value in enumerate(eps.tolist()):
        one = simulate(RIKFAD(0.1, 0.5, 0.7, value), bowl, x0, step=0.1, steps=50)
        assert (both["x"][:, index] - one["x"]).abs().max() < 1e-14


# --- variables of one's own shape -----------------------------------------------------------------


@dataclass(frozen=True)
class RowFriction(Part):
    """P' = −r P, r' = rowmean(P²): one friction per row; a palindrome."""

    letter, reads, writes, kind = "Q", ("p", "r"), ("p", "r"), "symmetric"

    def shape_of(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[:1] + (1,) * len(shape[1:]) if name == "r" else shape

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.r * s.p, "r": s.rowmean(s.p * s.p)}

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(s.r * (-h / 2)) * s.p
        s.r = s.r + h * s.rowmean(s.p * s.p)
        s.p = exp(s.r * (-h / 2)) * s.p


@dataclass(frozen=True)
class WrongOnMatrices(RowFriction):
    """Right on vectors only: there a row is one number."""

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(s.r * (-h / 2)) * s.p
        s.r = s.r + h * s.where_matrix(s.colmean(s.p * s.p), s.p * s.p)
        s.p = exp(s.r * (-h / 2)) * s.p


def test_ones_own_part_may_declare_a_shape() -> None:
    check(RowFriction())
    made = Dynamics(Drift(), Kick(), RowFriction())
    assert made.shape_of("r", (3, 2)) == (3, 1) and made.shape_of("p", (3, 2)) == (3, 2)
    run = simulate(made, CoupledMatrix(), step=0.1, steps=3)
    assert run["r"].shape == (4, 3, 1)


def test_check_looks_at_matrices_too() -> None:
    with pytest.raises(ValueError, match="WrongOnMatrices fails its check"):
        check(WrongOnMatrices())
