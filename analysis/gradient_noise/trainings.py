"""Methods that train with noisy gradients, each with the stochastic equation that models it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...dynamics import CD, Dynamics, GradientFlow, SGDFlow
from ...integrators import convert
from .models import with_gradient_noise

METHODS = ("SGD", "momentum SGD", "CD", "IKFAD")
MOMENTUM = 0.8
CAP = 0.2  # of a coordinate's gradient: fits the network of the study
FORGOTTEN = 0.3  # αh of IKFAD


@dataclass(frozen=True)
class Training:
    """One step of training is `word` with the time `step`; the model covers it in `model_step`.

    dynamics     what trains, without noise of its own
    model        its flow without noise, stepped by `model_word`
    with_noise   the flow with constant noise s [dimension, 1], stepped by `noisy_word`
    kick         the model starts with p₀ = −kick · model_step · ∇f(x₀)
    refinement   steps of the simulation of the model in one step of training
    """

    name: str
    dynamics: Dynamics
    word: str
    step: float
    model: Dynamics
    model_word: str
    model_step: float
    with_noise: Callable[[Any], Dynamics]
    noisy_word: str
    kick: float
    refinement: int


def training(name: str, lr: float, momentum: float = MOMENTUM, *, cap: float = CAP) -> Training:
    """One of METHODS, all with the effective learning rate of torch's SGD(lr, momentum).

    * SGD: word F with lr/(1 − momentum). Model: the first stochastic modified equation.
    * momentum SGD: word BAD of LDHD. Model: Langevin dynamics, see `convert.langevin_of_sgd`.
    * CD, IKFAD: word BACD with the same h = √lr and γ. Model: the same dynamics with noise
      √h s dW on p; its h is that of the Langevin dynamics, and a step damps and caps moves as
      in training (γh and αh are the same). The cubic damping caps a coordinate's move in one
      step at lr·`cap`, as much as a gradient `cap` makes without momentum.

    Models with momentum start with p₀ = −½ h ∇f(x₀), because a word that begins with a kick is
    ahead of its flow by half a kick. They are stepped by palindromes, of weak order 2, four to a
    step of training; that of SGD by Euler and Maruyama's method, eight to a step. Raises
    ValueError for another name.
    """
    if name not in METHODS:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}; got {name!r}")
    if name == "SGD":
        rate = convert.effective_lr(lr, momentum)
        flow = GradientFlow(1.0)
        return Training(
            name, flow, "F", rate, flow, "F", rate, partial(SGDFlow, rate), "FN", 0.0, 8
        )  # fmt: skip
    plain = convert.from_sgd(lr, momentum, word="BAD")
    flow = convert.ode_model_of_sgd(lr, momentum)
    if name == "momentum SGD":
        return Training(
            name, plain.dynamics, "BAD", plain.lr, flow.dynamics, "ADBDA", flow.lr,
            partial(_langevin, lr, momentum), "AOBOA", flow.kick, 4,
        )  # fmt: skip
    trained, model = (_capped(name, one, lr * cap) for one in (plain, flow))
    return Training(
        name, trained, "BACD", plain.lr, model, "ACDBDCA", flow.lr,
        partial(with_gradient_noise, model, flow.lr), "ACDBNDCA", flow.kick, 4,
    )  # fmt: skip


def _langevin(lr: float, momentum: float, noise_std: Any) -> Dynamics:
    return convert.langevin_of_sgd(lr, momentum, noise_std).dynamics


def _capped(name: str, made: convert.Equivalent, max_step: float) -> Dynamics:
    """CD or IKFAD with the friction of an LDHD, which capped moves a coordinate by `max_step`."""
    gamma = made.dynamics.hyperparameters["gamma"]
    cd = CD(gamma, convert.max_step_to_c(made.lr, max_step))
    return cd if name == "CD" else convert.cd_to_ikfad(cd, FORGOTTEN / made.lr)
