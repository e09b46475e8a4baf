"""Hyperparameters: ranges are checked by name; zero is ordinary; tensors give gradients."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    BiasCorrectedDrift,
    CubicDamping,
    CubicLinearDamping,
    Dynamics,
    KineticFriction,
    LinearDamping,
    PreconditionedDrift,
    SecondMoment,
    State,
    WeightDecay,
)
from dashpot.integrators import simulate
from dashpot.landscapes import Quadratic

AT_LEAST, ABOVE = "a finite number >= 0", "a finite number > 0"
friction = {"alpha": 0.5, "mu": 2.0}
adaptive = {"gamma": 0.1, **friction}
adam = {"gamma": 0.1, "alpha": 0.5, "c": 1.0, "eps": 1e-3}

# constructor, valid arguments, names that must be > 0 (the others: >= 0)
MADE: list[tuple[Callable[..., Any], dict[str, float], set[str]]] = [
    (LinearDamping, {"gamma": 0.1}, set()),
    (CubicDamping, {"c": 1.0}, set()),
    (CubicLinearDamping, {"gamma": 0.1, "c": 1.0}, set()),
    (WeightDecay, {"weight_decay": 0.1}, set()),
    (PreconditionedDrift, {"eps": 0.1}, set()),
    (BiasCorrectedDrift, {"eps": 0.1, "gamma": 0.1, "alpha": 0.1}, {"gamma", "alpha"}),
    (SecondMoment, {"alpha": 0.1}, set()),
    (KineticFriction, friction, {"mu"}),
    (LDHD, {"gamma": 0.1}, set()),
    (CD, {"gamma": 0.1, "c": 1.0}, set()),
    (KFAD, adaptive, {"mu"}),
    (IKFAD, adaptive, {"mu"}),
    (CADAM, adam, set()),
]
CASES = [
    pytest.param(make, values, name, bad, ABOVE if name in positive else AT_LEAST,
                 id=f"{make.__name__}-{name}-{bad}")
    for make, values, positive in MADE
    for name in values
    for bad in (-1.0, math.nan, math.inf, "many", *((0.0,) if name in positive else ()))
]  # fmt: skip


@pytest.mark.parametrize(("make", "values", "name", "bad", "valid"), CASES)
def test_values_out_of_range(
    make: Callable[..., Any], values: dict[str, float], name: str, bad: Any, valid: str
) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be {valid}; got '?{bad}"):
        make(**{**values, name: bad})


@pytest.mark.parametrize(("make", "values", "positive"), MADE)
def test_zero_is_ordinary_where_it_is_allowed(
    make: Callable[..., Any], values: dict[str, float], positive: set[str]
) -> None:
    made = make(**{name: value if name in positive else 0.0 for name, value in values.items()})
    assert {n: made.hyperparameters[n] for n in values} == {
        name: value if name in positive else 0.0 for name, value in values.items()
    }
    if isinstance(made, Dynamics):
        run = simulate(made, Quadratic([1.0, 3.0]), step=0.1, steps=20)
        assert run.status == "finished"
        assert torch.isfinite(run["x"]).all()


def test_bias_correction_needs_positive_rates() -> None:
    with pytest.raises(ValueError, match="gamma must be a finite number > 0; got 0"):
        CADAM(0.0, 0.1, 1.0, bias_correction=True)


def test_unknown_friction_scheme() -> None:
    with pytest.raises(ValueError, match=r"scheme must be 'palindrome' or 'rotation'; got 'euler'"):
        KFAD(0.1, 0.1, 1.0, scheme="euler")  # pyright: ignore[reportArgumentType]


def test_one_bad_value_in_a_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="gamma must be"):
        LDHD(torch.tensor([0.1, -0.1]))


def test_bind_changes_named_values_only_and_leaves_the_original() -> None:
    original = CD(gamma=0.3, c=0.8)
    bound = original.bind({"gamma": 0.5, "unrelated": 9.0})
    assert bound.hyperparameters == {"gamma": 0.5, "c": 0.8}
    assert original.hyperparameters == {"gamma": 0.3, "c": 0.8}
    assert bound.letters["G"].hyperparameters == {"gamma": 0.5, "c": 0.8}
    assert type(bound) is CD
    friction = KineticFriction(0.5, 2.0, scalar=True, scheme="rotation").bind({"mu": 3.0})
    assert (friction.mu, friction.scalar, friction.scheme) == (3.0, True, "rotation")


def test_bound_tensors_give_gradients() -> None:
    gamma = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    part = LDHD(0.0).bind({"gamma": gamma}).parts["D"]
    s = State({"p": torch.tensor([2.0], dtype=torch.float64)})
    part.flow(s, 0.5)
    # ∂/∂γ e^{−γh} p = −h e^{−γh} p
    (grad,) = torch.autograd.grad(s.p.sum(), gamma)
    assert grad.item() == pytest.approx(-0.5 * math.exp(-0.15) * 2, rel=1e-15)


@pytest.mark.parametrize("scheme", ["palindrome", "rotation"])
def test_gradients_through_kinetic_friction(scheme: Any) -> None:
    """Against central differences, at α = 0 too, where a naive (1 − e^{−αh})/α has none."""
    start = {"p": torch.tensor([1.2], dtype=torch.float64), "xi": torch.tensor([0.4]).double()}

    def run(alpha: Any, mu: Any) -> torch.Tensor:
        s = State(dict(start))
        KineticFriction(0.0, 1.0, scheme=scheme).bind({"alpha": alpha, "mu": mu}).flow(s, 0.3)
        return (s.p + 2 * s.xi).sum()

    for alpha, mu in ((0.0, 0.7), (0.9, 0.7)):
        a, m = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (alpha, mu))
        exact = torch.autograd.grad(run(a, m), (a, m))
        d = 1e-5
        in_alpha = (run(alpha + d, mu) - run(alpha - d, mu)) / (2 * d)
        in_mu = (run(alpha, mu + d) - run(alpha, mu - d)) / (2 * d)
        # central differences: d² f''' ~ 1e-10
        assert exact[0].item() == pytest.approx(in_alpha.item(), rel=1e-8)
        assert exact[1].item() == pytest.approx(in_mu.item(), rel=1e-8)
