"""Every error of a user is answered with what was wrong, where, and what would be right."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from problems import parameter

from dashpot import dynamics
from dashpot.dynamics import (
    CD,
    LDHD,
    BiasCorrectedDrift,
    CubicDamping,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    Part,
)
from dashpot.integrators import Trajectory, Word, optim, simulate, solve
from dashpot.landscapes import Landscape, Quadratic, Rosenbrock

# wrong arguments on purpose: not for the type checker
dyn: Any = dynamics
opt: Any = optim

cd = CD(gamma=0.5, c=2.0)
bowl = Quadratic([1.0, 4.0])
unknown_minimum = Landscape(lambda x: (x * x).sum(), shape=2)


def run(x0: Any = None, **settings: Any) -> Trajectory:
    return simulate(
        settings.pop("dynamics", cd),
        settings.pop("landscape", bowl),
        x0,
        **{"step": 0.1, "steps": 1, **settings},
    )


def reference(x0: Any = None, **settings: Any) -> Trajectory:
    return solve(
        settings.pop("dynamics", cd),
        settings.pop("landscape", bowl),
        x0,
        **{"until": 1.0, **settings},
    )


def one() -> list[torch.nn.Parameter]:
    return [parameter([1.0])]


Case = tuple[str, Callable[[], Any], type[Exception], list[str]]

CASES: list[Case] = [
    # hyperparameters and parts: which, its value, its range
    ("negative gamma", lambda: CD(gamma=-1.0, c=1.0), ValueError, ["gamma", "-1", ">= 0"]),
    ("nan c", lambda: CD(gamma=1.0, c=math.nan), ValueError, ["c must", "nan", "finite", ">= 0"]),
    ("zero mu", lambda: dyn.IKFAD(0.1, 0.1, 0.0), ValueError, ["mu", "0", "> 0"]),
    ("text", lambda: dyn.LinearDamping("a"), ValueError, ["gamma", "'a'", ">= 0"]),
    ("two D", lambda: Dynamics(Drift(), LinearDamping(0.1), LinearDamping(0.2)), ValueError,
     ["letter D", "0.1", "0.2", "free letter"]),
    ("two gammas", lambda: Dynamics(BiasCorrectedDrift(0.1, 0.1, 0.1), LinearDamping(0.2)),
     ValueError, ["gamma", "0.1", "0.2", "same value", "rename"]),
    ("no drift", lambda: Dynamics(Kick(), CubicDamping(1.0)), ValueError, ["moves x", "Drift()"]),
    ("class of part", lambda: dyn.Dynamics(Drift), TypeError, ["Drift(...)"]),
    ("bad letter", lambda: type("Own", (Part,), {"letter": "q", "reads": (), "writes": ("p",)}),
     TypeError, ["Own.letter", "one capital A to Z", "'q'"]),
    # mixing up the optimizer and the dynamics
    ("dynamics with lr", lambda: dyn.CD(lr=0.1, gamma=1.0, c=1.0), TypeError,
     ["dashpot.dynamics.CD", "optim.CD(params, lr=...)", "from dashpot.integrators import optim"]),
    ("optim as dynamics", lambda: opt.CD(gamma=0.5, c=2.0), TypeError,
     ["optim.CD is the optimizer", "optim.CD(model.parameters(), lr=...)", "dashpot.dynamics.CD"]),
    ("optim with numbers", lambda: opt.LDHD(0.5), TypeError,
     ["optim.LDHD", "model.parameters()", "dashpot.dynamics.LDHD"]),
    ("simulate an optimizer", lambda: run(dynamics=opt.CD(one(), c=1.0)), TypeError,
     ["optimizer", "from dashpot.dynamics import CD"]),
    ("simulate a class of optimizer", lambda: run(dynamics=opt.CD), TypeError,
     ["optimizer", "from dashpot.dynamics import CD"]),
    ("simulate a class", lambda: run(dynamics=CD), TypeError, ["CD(...)", "not the class CD"]),
    ("simulate a name", lambda: run(dynamics="CD"), TypeError, ["'CD'", "CD(gamma=0.5, c=2.0)"]),
    ("optimize an optimizer", lambda: opt.optimizer(opt.CD, one(), 0.1), TypeError,
     ["CD is an optimizer already", "from dashpot.dynamics import CD"]),
    ("optimize a class", lambda: opt.optimizer(CD, one(), 0.1), TypeError,
     ["CD(...)", "not the class CD"]),
    ("wrong order", lambda: opt.optimizer(one(), CD(1.0, 1.0), 0.1), TypeError,
     ["such as CD(gamma=0.5, c=2.0); got", "Parameter"]),
    ("torch's momentum", lambda: opt.CD(one(), momentum=0.9), TypeError,
     ["no momentum", "gamma = −ln(momentum)/lr"]),
    ("torch's betas", lambda: opt.CADAM(one(), betas=(0.9, 0.99)), TypeError,
     ["no betas", "convert.from_adam", "gamma = −ln(β₁)/lr", "alpha = −ln(β₂)/lr"]),
    ("torch's nesterov", lambda: opt.LDHD(one(), nesterov=True), TypeError,
     ["no nesterov", "NAG", "BDFA", "convert.from_sgd(lr, momentum, nesterov=True)"]),
    ("another's c", lambda: opt.LDHD(one(), c=1.0), TypeError, ["optim.LDHD has no c; it takes lr, "
     "gamma, word, weight_decay, momentum_init, maximize"]),
    ("another's max_step", lambda: opt.IKFAD(one(), max_step=1.0), TypeError,
     ["optim.IKFAD has no max_step; it takes lr, gamma, alpha, mu, scheme, word"]),
    ("misspelt", lambda: opt.CADAM(one(), bias_corection=True), TypeError,
     ["no bias_corection; did you mean bias_correction? It takes lr, gamma, alpha, c, eps"]),
    ("misspelt, dynamics", lambda: dyn.CD(gama=0.1), TypeError,
     ["CD has no argument 'gama'", "did you mean 'gamma'", "takes gamma, c"]),
    ("a module", lambda: opt.CD(torch.nn.Linear(2, 1)), TypeError, ["model.parameters()"]),
    ("dynamics of parameters", lambda: dyn.CD(iter(one()), 0.1), TypeError,
     ["dashpot.dynamics.CD", "optim.CD(params, lr=...)"]),
    ("group's max_step", lambda: opt.CD([{"params": one(), "max_step": 1.0}]), ValueError,
     ["'max_step'", "not per group"]),
    ("group's word", lambda: opt.CD([{"params": one(), "word": "BCDA"}]), ValueError,
     ["all groups", "'BCDA'"]),
    ("state of another word", lambda: opt.CD(one()).load_state_dict(
        opt.CD(one(), word="BCDA").state_dict()), ValueError, ["word", "BCD", "of CD"]),
    ("state of another dynamics", lambda: opt.CD(one()).load_state_dict(
        opt.IKFAD(one()).state_dict()), ValueError, ["of IKFAD", "of CD"]),
    ("state of another optimizer", lambda: opt.CD(one()).load_state_dict(
        torch.optim.Adam(one()).state_dict()), ValueError, ["another optimizer", "of CD"]),
    ("half precision", lambda: run(dtype=torch.bfloat16), ValueError, ["float32", "bfloat16"]),
    ("complex start", lambda: run([1j, 1.0]), TypeError, ["x", "real"]),
    # words
    ("unknown letter", lambda: Word("BAXD", cd), ValueError, ["'X'", "position 3", "try 'BACD'"]),
    ("missing letter", lambda: Word("BDA", cd), ValueError, ["leaves out C", "try 'BDAC'"]),
    ("doubled part", lambda: Word("BGACD", cd), ValueError, ["2 h", "position 2, ", "try"]),
    ("lower case", lambda: Word("bcdAdcb", cd), ValueError, ["'b'", "position 1", "'BCDADCB'"]),
    ("bad fraction", lambda: Word("B:1/0ACD", cd), ValueError, ["'1/0'", "position 3", "B:1/4"]),
    ("empty word", lambda: run(word=""), ValueError, ["empty", "'BACD'"]),
    # arguments of simulate
    ("no landscape", lambda: run(landscape=lambda x: x), TypeError,
     ["Rosenbrock(2)", "Landscape(f, shape=...)"]),
    ("class of landscape", lambda: run(landscape=Rosenbrock), TypeError, ["Rosenbrock(2)"]),
    ("step zero", lambda: run(step=0.0), ValueError, ["step", "> 0", "0.0"]),
    ("step negative", lambda: run(step=-0.1), ValueError, ["step", "> 0", "-0.1"]),
    ("step nan", lambda: run(step=math.nan), ValueError, ["step", "finite", "nan"]),
    ("step huge", lambda: run(step=10**400), ValueError, ["step", "finite", "inf"]),
    ("step text", lambda: run(step="small"), TypeError, ["step", "number", "'small'"]),
    ("steps zero", lambda: run(steps=0), ValueError, ["steps", ">= 1", "0"]),
    ("steps real", lambda: run(steps=1.5), ValueError, ["steps", "whole number", "1.5"]),
    ("steps bool", lambda: run(steps=True), ValueError, ["steps", "whole number", "True"]),
    ("save_every", lambda: run(save_every=0), ValueError, ["save_every", ">= 1", "0"]),
    # starts
    ("shape", lambda: run(torch.ones(3)), ValueError, ["Quadratic", "(..., 2)", "(3,)"]),
    ("unknown variable", lambda: run({"x": [1.0, 1.0], "xi": 0.0}), ValueError,
     ["CD", "'xi'", "x, p"]),
    ("shape of p", lambda: run({"x": [1.0, 1.0], "p": [1.0, 2.0, 3.0]}), ValueError,
     ["x0['p']", "(2,)", "(3,)"]),
    ("not finite", lambda: run([[0.0, 0.0], [1.0, math.inf]]), ValueError,
     ["x0", "x must be finite", "got inf at [1, 1]"]),
    ("not numbers", lambda: run("here"), TypeError, ["x0", "cannot read x as numbers"]),
    ("integer dtype", lambda: run(dtype=torch.int64), ValueError, ["dtype", "torch.float64"]),
    # arguments of solve
    ("method", lambda: reference(method="RK45"), ValueError, ["'RK45'", "DOP853", "dopri8"]),
    ("until", lambda: reference(until=-1.0), ValueError, ["until", "> 0", "-1.0"]),
    ("rtol", lambda: reference(rtol=0.0), ValueError, ["rtol", "> 0", "0.0"]),
    ("times out", lambda: reference(times=[0.5, 2.0]), ValueError, ["times", "until = 1", "2"]),
    ("times negative", lambda: reference(times=[-0.5, 1.0]), ValueError, ["times", "0", "-0.5"]),
    ("times decreasing", lambda: reference(times=[0.5, 0.2]), ValueError, ["times", "increasing"]),
    ("times nan", lambda: reference(times=[0.0, math.nan, 0.5]), ValueError, ["times"]),
    ("times a number", lambda: reference(times=0.5), ValueError, ["times", "list of"]),
    ("stop, no minimum", lambda: reference(landscape=unknown_minimum, stop_below=1e-3), ValueError,
     ["stop_below", "minimum", "not known"]),
    ("stop, torch", lambda: reference(method="dopri5", stop_below=1e-3), ValueError,
     ["stop_below", "DOP853", "dopri5"]),
    # optimizers
    ("lr", lambda: opt.CD(one(), lr=-0.1, c=1.0), ValueError, ["lr", ">= 0", "-0.1"]),
    ("lr of a group", lambda: opt.LDHD([{"params": one(), "lr": math.nan}]), ValueError,
     ["lr", "finite", "nan"]),
    ("gamma of a group", lambda: opt.LDHD([{"params": one(), "gamma": -2.0}]), ValueError,
     ["gamma", ">= 0", "-2"]),
    ("weight decay", lambda: opt.LDHD(one(), weight_decay=-1.0), ValueError,
     ["weight_decay", ">= 0", "-1"]),
    ("momentum_init", lambda: opt.LDHD(one(), momentum_init="one"), ValueError,
     ["momentum_init", "'zero' or 'gradient'", "'one'"]),
    ("c and max_step", lambda: opt.CD(one(), c=1.0, max_step=0.1), ValueError,
     ["c or max_step", "c=1.0", "max_step=0.1"]),
    ("max_step", lambda: opt.CD(one(), max_step=0.0), ValueError, ["max_step", "> 0", "0.0"]),
    ("no closure", lambda: opt.LDHD(one(), word="BABAD").step(), RuntimeError,
     ["BA", "2 gradients a step", "step(closure)"]),
    ("word of an optimizer", lambda: opt.CD(one(), c=1.0, word="BAD"), ValueError,
     ["'BAD'", "leaves out C", "try"]),
    # trajectories
    ("variable", lambda: run()["zeta"], KeyError, ["'zeta'", "x, p"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "kind", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_message_says_what_and_where_and_what_else(
    make: Callable[[], Any], kind: type[Exception], words: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        make()
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, message
    assert not re.search(r"\bNone\b|object at 0x|Traceback", message), message


@pytest.mark.parametrize(
    "make",
    [
        lambda: run(steps=0),
        lambda: run(torch.ones(3)),
        lambda: run(word="BAXD"),
        lambda: reference(method="RK45"),
        lambda: reference(times=[2.0]),
    ],
)
def test_nothing_is_computed_before_the_arguments_are_checked(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a gradient was computed")

    monkeypatch.setattr(Quadratic, "df", refuse)
    with pytest.raises(ValueError):
        make()


def test_an_error_is_raised_without_a_chain_of_inner_errors() -> None:
    with pytest.raises(ValueError) as caught:
        run({"x": np.ones((5, 2)), "p": np.ones((3, 2))})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_optimizers_and_dynamics_of_one_name_are_told_apart_for_all() -> None:
    for name in ("LDHD", "KFAD", "IKFAD", "CD", "CADAM"):
        with pytest.raises(TypeError, match=rf"optim\.{name}\(params, lr=\.\.\.\)"):
            getattr(dyn, name)(params=[], lr=0.1)
        with pytest.raises(TypeError, match=rf"the dynamics is dashpot\.dynamics\.{name}"):
            getattr(opt, name)(gamma=0.1)
    assert LDHD(0.1).name == "LDHD"


def test_a_class_made_from_an_optimizer_may_take_more_and_pass_the_rest_on() -> None:
    class Clipped(opt.CD):
        def __init__(self, params: Any, clip: float = 1.0, **rest: Any) -> None:
            self.clip = clip
            super().__init__(params, **rest)

    assert Clipped(one(), clip=2.0, lr=0.3, gamma=0.2, weight_decay=0.1).defaults["gamma"] == 0.2
    with pytest.raises(TypeError, match=r"optim\.Clipped has no alpha; it takes clip, lr, gamma"):
        Clipped(one(), alpha=0.1)
