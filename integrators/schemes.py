"""Schemes for a whole vector field: Euler–Maruyama, and Heun's in its stochastic form."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from torch import Tensor

from ..dynamics import Dynamics, NoisyPart, State
from ..dynamics.elements import sqrt

Method = Literal["word", "euler-maruyama", "heun"]
Gradient = Callable[[Tensor], Tensor]


def euler_maruyama(
    dynamics: Dynamics, s: State, h: float, gradient: Gradient, noise: Mapping[str, Tensor]
) -> None:
    """X ← X + a h + b ΔW, with drift a and amplitudes b at X.

    Weak order 1; strong order 1 for additive noise, ½ otherwise. One gradient a step. Without
    noise it is Euler's method.
    """
    _provide(dynamics, s, gradient)
    rates = dynamics.rate(s)
    moved = {name: getattr(s, name) + h * rate for name, rate in rates.items()}
    for part in _noisy(dynamics):
        moved[part.noisy] = moved[part.noisy] + part.amplitude(s) * noise[part.driver]
    _put(s, moved)


def heun(
    dynamics: Dynamics, s: State, h: float, gradient: Gradient, noise: Mapping[str, Tensor]
) -> None:
    """Platen's explicit scheme for diagonal noise; for additive or no noise, Heun's method:

        Υ = X + a h + b ΔW,   Υ± = X + a h ± b √h,
        X ← X + ½ (a(Υ) + a) h + ¼ (b(Υ+) + b(Υ−) + 2b) ΔW + ¼ (b(Υ+) − b(Υ−)) (ΔW² − h)/√h

    for each Brownian motion. Two gradients a step, and two more for every amplitude that reads the
    gradient. Weak order 2 and strong order 1, if an amplitude depends on no variable or coordinate
    that another Brownian motion moves directly; otherwise 1 and ½.
    Source: Kloeden, Platen, Numerical Solution of Stochastic Differential Equations, 1992,
    section 15.1.
    """
    _provide(dynamics, s, gradient)
    rates = dynamics.rate(s)
    drifted = {name: getattr(s, name) + h * rate for name, rate in rates.items()}
    parts = list(_noisy(dynamics))
    amplitudes = {part.letter: part.amplitude(s) for part in parts}
    ahead = dict(drifted)
    for part in parts:
        kick = amplitudes[part.letter] * noise[part.driver]
        ahead[part.noisy] = ahead[part.noisy] + kick
    moved = {name: getattr(s, name) + 0.5 * h * rate for name, rate in rates.items()}
    end = s.copy(**ahead, g=None)
    _provide(dynamics, end, gradient)
    for name, rate in dynamics.rate(end).items():
        moved[name] = moved[name] + 0.5 * h * rate
    root = sqrt(h)
    for part in parts:
        b, w = amplitudes[part.letter], noise[part.driver]
        up, down = (
            _amplitude(part, s.copy(**drifted, g=None), sign * root * b, gradient)
            for sign in (1, -1)
        )
        kick = 0.25 * (up + down + 2 * b) * w + 0.25 * (up - down) * ((w * w - h) / root)
        moved[part.noisy] = moved[part.noisy] + kick
    _put(s, moved)


SCHEMES: dict[str, Callable[..., None]] = {"euler-maruyama": euler_maruyama, "heun": heun}
WEAK_ORDER = {"euler-maruyama": 1, "heun": 2}
GRADIENTS = {"euler-maruyama": 1, "heun": 2}


def gradients_per_step(method: str, dynamics: Dynamics) -> int:
    """At how many points a step takes the gradient: Heun's also where an amplitude reads it."""
    reading = sum("g" in part.reads for part in _noisy(dynamics)) if method == "heun" else 0
    return GRADIENTS[method] + 2 * reading


def refuse_scheme(method: str, word: object = None) -> None:
    """ValueError for an unknown scheme, and for a word along with one."""
    if method not in SCHEMES:
        raise ValueError(
            f"unknown method {method!r}; choose one of {', '.join(('word', *SCHEMES))}"
        )
    if word is not None:
        raise ValueError(
            f"method={method!r} takes the whole vector field, not a word; leave out "
            f"word={str(word)!r}, or method"
        )


def _noisy(dynamics: Dynamics) -> Iterator[NoisyPart]:
    return (part for part in dynamics.parts.values() if isinstance(part, NoisyPart))


def _provide(dynamics: Dynamics, s: State, gradient: Gradient) -> None:
    if s.g is None and any("g" in part.reads for part in dynamics.parts.values()):
        s.g = gradient(s.x)


def _amplitude(part: NoisyPart, s: State, shift: Any, gradient: Gradient) -> Any:
    setattr(s, part.noisy, getattr(s, part.noisy) + shift)
    if "g" in part.reads:
        s.g = gradient(s.x)
    return part.amplitude(s)


def _put(s: State, moved: Mapping[str, Any]) -> None:
    for name, value in moved.items():
        setattr(s, name, value.to(getattr(s, name).dtype))
    s.g = None
