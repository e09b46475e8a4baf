"""A dynamics prints as the call that makes it, and its class says which arguments it takes."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import CATALOGUE, MOMENTUM_FLOWS

from dashpot import dynamics
from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    NAG,
    RIKFAD,
    AdamODE,
    CubicLinearDamping,
    Drift,
    Dynamics,
    HighResolutionHB,
    Kick,
    KineticFriction,
    LinearDamping,
    ModifiedMomentum,
    UniformMomentum,
    WeightDecay,
)

dyn: Any = dynamics  # wrong arguments on purpose: not for the type checker


def typed(text: str) -> Dynamics:
    """What a user gets who types it."""
    return eval(text, {**vars(dynamics), "tensor": torch.tensor, "torch": torch})


def assert_same(a: Dynamics, b: Dynamics) -> None:
    assert type(a) is type(b)
    assert (a.name, a.word, a.variables) == (b.name, b.word, b.variables)
    assert (a.parts, a.combined) == (b.parts, b.combined)
    assert a.hyperparameters == b.hyperparameters
    assert list(a.hyperparameters) == list(b.hyperparameters)


OTHERS = [
    KFAD(0.3, 1, 1, "rotation"),
    IKFAD(0.3, 0.7, 0.9, scheme="rotation"),
    RIKFAD(0.3, 0.7, 0.9),
    CADAM(0.3, 0.6, 0.5),
    CADAM(0.3, 0.6, 0.5, bias_correction=True),
    AdamODE(0.3, 0.6, bias_correction=True),
    ModifiedMomentum(0.4, 0.6, nesterov=True),
    Dynamics(Drift(), Kick(), LinearDamping(0.1)),
    Dynamics(Drift(), Kick(), CubicLinearDamping(0.1, 0.2), word="BGA"),
    Dynamics(Kick(), CubicLinearDamping(0.1, 0.2), Drift(), word="AB:1/2CDB:1/2"),
    Dynamics(Drift(), Kick(), KineticFriction(0.4, 0.8, scalar=True), name="mine", citation="I"),
    LDHD(0.1).bind({"gamma": 0.25}),
    HighResolutionHB(0.5, 0.04).bind({"gamma": 3.0}),
    LDHD(0.1).with_part(WeightDecay(0.2)),
    CADAM(0.3, 0.6, 0.5).with_part(WeightDecay(0.2)).bind({"weight_decay": 0.3, "c": 0.7}),
    Dynamics(Drift(), Kick(), word="BA").with_part(WeightDecay(0.2)),
]


@pytest.mark.parametrize("made", [*CATALOGUE, *MOMENTUM_FLOWS, *OTHERS], ids=repr)
def test_the_repr_makes_it_again(made: Dynamics) -> None:
    assert_same(typed(repr(made)), made)
    assert typed(repr(made)).citation == made.citation
    for twin in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert repr(twin) == repr(made)
        assert_same(twin, made)


positive = st.floats(1e-3, 0.9)  # every constructor takes them: a momentum lies below 1


@given(
    make=st.sampled_from([*CATALOGUE, *MOMENTUM_FLOWS, RIKFAD(1, 1, 1), UniformMomentum(0.1, 0.5)]),
    numbers=st.lists(positive, min_size=4, max_size=4),
)
def test_every_digit_is_kept(make: Dynamics, numbers: list[float]) -> None:
    given_values: dict[str, Any] = dict(zip(make.arguments, numbers, strict=False))
    made = type(make)(**given_values)
    assert_same(typed(repr(made)), made)


def test_it_is_short() -> None:
    assert repr(KFAD(gamma=0.3, alpha=1, mu=1)) == "KFAD(gamma=0.3, alpha=1, mu=1)"
    assert repr(CADAM(0.3, 0.6, 0.5)) == "CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=1e-08)"
    one = torch.tensor(0.1, dtype=torch.float64)
    assert repr(LDHD(one)) == "LDHD(gamma=0.1)"
    assert repr(LDHD(0.1).with_part(WeightDecay(0.2))) == (
        "LDHD(gamma=0.1).with_part(WeightDecay(weight_decay=0.2))"
    )


def test_values_that_are_out_of_range_are_shown_too() -> None:
    """`bind` takes anything: a repr never raises."""
    wrong = CD(0.1, 2.0).bind({"gamma": -1.0})
    assert repr(wrong).startswith("Dynamics(Drift(), Kick(), CubicLinearDamping(gamma=-1.0, c=2.0)")
    assert "name='CD'" in repr(wrong)


def test_several_numbers_are_shown_as_tensors() -> None:
    gamma = torch.tensor([0.25, 0.5], dtype=torch.float64)
    again = typed(repr(LDHD(gamma)))
    assert torch.equal(again.hyperparameters["gamma"], gamma)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dyn.CD(gama=0.1), r"CD has no argument 'gama'; did you mean 'gamma'\? "
         r"It takes gamma, c$"),
        (lambda: dyn.LDHD(gamma=1, c=2), r"LDHD has no argument 'c'; it takes gamma$"),
        (lambda: dyn.KFAD(0.1, 0.1, 1.0, scalar=True), r"KFAD has no argument 'scalar'; it takes "
         r"gamma, alpha, mu, scheme"),
        (lambda: dyn.CD(0.1, 1.0, 2.0), r"CD takes gamma, c; got 3 values"),
        (lambda: dyn.CD(0.1, gamma=1.0), r"multiple values for argument 'gamma'"),
        (lambda: dyn.NAG(gamma=0.1, rate=1.0), r"NAG has no argument 'rate'; it takes gamma, eta"),
        (lambda: dyn.Dynamics(Drift(), wrd="A"), r"Dynamics has no argument 'wrd'; did you mean "
         r"'word'\? It takes \*parts, word, name, citation"),
    ],
)  # fmt: skip
def test_unknown_arguments_are_answered_with_the_known(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_ones_own_class_may_pass_arguments_on() -> None:
    class Own(NAG):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    class Named(LDHD):
        def __init__(self, friction: float) -> None:
            super().__init__(2 * friction)

    assert Own(0.1, eta=0.2).hyperparameters == {"gamma": 0.1, "eta": 0.2}
    assert repr(Named(0.5)) == "Named(friction=0.5)"
    assert repr(CD(gamma=0.5, c=2)) == "CD(gamma=0.5, c=2)"
