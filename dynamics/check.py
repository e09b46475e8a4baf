"""Does a part keep its word? Its flow, its rate and its declarations compared."""

import math

import torch

from .part import Part
from .state import State

_SMALL = 1e-4  # time of the finite differences, fourth order in it
_COLUMNS = 3  # of the matrices


def check(part: Part, *, seed: int = 0, coordinates: int = 4, systems: int = 8) -> dict[str, float]:
    """Verify a part on random states and return the errors measured, by property.

    The states are `systems` vectors of `coordinates` numbers, and as many matrices with that many
    rows; the larger error counts.

    * "rate": d/dh flow(h) at h = 0 equals `rate` (relative 1e-6)
    * "semigroup" of an exact flow: flow(b) flow(a) = flow(a + b) (relative 1e-10), or
      "inverse" of a symmetric one: flow(−h) flow(h) = 1 (relative 1e-10); a flow that is only
      consistent has neither
    * "writes": the flow changes what `writes` names and nothing else; `rate` has the same keys
    * "reads", "rate reads": flow and rate depend on no variable declared neither read nor written

    Raises ValueError with the property that fails, the variable, and the size of the failure.
    A part without a flow is checked for its rate only.
    """
    worst: dict[str, float] = {}
    for shape in ((coordinates,), (coordinates, _COLUMNS)):
        for property, error in _errors(part, _random_state(part, seed, shape, systems)).items():
            worst[property] = max(error, worst.get(property, 0.0))
    return worst


def _errors(part: Part, start: State) -> dict[str, float]:
    name = type(part).__name__
    keys = set(part.rate(start.copy()))
    if keys != set(part.writes):
        raise ValueError(
            f"{name}: rate returns {sorted(keys)} but writes declares {sorted(part.writes)}"
        )
    errors = {"rate reads": _undeclared_reads_of_rate(part, start)}
    if not part.has_flow:
        return _judged(name, errors)
    errors["rate"] = _rate_error(part, start)
    if part.kind == "exact":
        there = _flow(part, _flow(part, start, 0.03), 0.05)
        errors["semigroup"] = _distance(part, there, _flow(part, start, 0.08))
    elif part.kind == "symmetric":
        errors["inverse"] = _distance(part, _flow(part, _flow(part, start, 0.05), -0.05), start)
    errors["writes"] = _undeclared_writes(part, start)
    errors["reads"] = _undeclared_reads(part, start)
    return _judged(name, errors)


def _judged(name: str, errors: dict[str, float]) -> dict[str, float]:
    for property, error in errors.items():
        if not error <= _ALLOWED.get(property, 0.0):  # a NaN fails too
            raise ValueError(f"{name} fails its check: {_MEANING[property]} (error {error:.2g})")
    return errors


_ALLOWED = {"rate": 1e-6, "semigroup": 1e-10, "inverse": 1e-10}
_MEANING = {
    "rate reads": "its rate depends on a variable that neither `reads` nor `writes` names",
    "rate": "the derivative of flow(h) at h = 0 is not its rate",
    "semigroup": "its flow is declared exact, but flow(a) then flow(b) is not flow(a + b)",
    "inverse": "its flow is declared symmetric, but flow(h) then flow(-h) is not the identity",
    "writes": "its flow changes a variable that `writes` does not name",
    "reads": "its flow depends on a variable that neither `reads` nor `writes` names",
}


def _random_state(part: Part, seed: int, coordinates: tuple[int, ...], systems: int) -> State:
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str) -> torch.Tensor:
        shape = (*part.shape_of(name, coordinates), systems)
        if name in ("x", "p", "g"):
            return torch.randn(shape, generator=generator, dtype=torch.float64)
        return 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)

    names = dict.fromkeys((*part.reads, *part.writes, "x", "p", "g", "unrelated"))
    return State({n: draw(n) for n in names}, rank=len(coordinates))


def _flow(part: Part, s: State, h: float) -> State:
    moved = s.copy()
    part.flow(moved, h)
    return moved


def _difference(a: State, b: State, name: str) -> float:
    u, v = torch.as_tensor(getattr(a, name)), torch.as_tensor(getattr(b, name))
    return ((u - v).abs() / (1 + v.abs())).max().item()


def _distance(part: Part, a: State, b: State) -> float:
    return max(_difference(a, b, name) for name in part.writes)


def _rate_error(part: Part, s: State) -> float:
    def slope(h: float, name: str) -> torch.Tensor:
        ahead, behind = _flow(part, s, h), _flow(part, s, -h)
        return (getattr(ahead, name) - getattr(behind, name)) / (2 * h)

    rates = part.rate(s.copy())
    worst = 0.0
    for name in part.writes:
        # Richardson: the h² term of the central difference cancels
        measured = (4 * slope(_SMALL / 2, name) - slope(_SMALL, name)) / 3
        exact = torch.as_tensor(rates[name])
        error = ((measured - exact).abs() / (1 + exact.abs())).max().item()
        worst = error if not error <= worst else worst
    return worst


def _undeclared_writes(part: Part, s: State) -> float:
    moved = _flow(part, s, 0.05)
    if set(moved.__dict__) - set(s.__dict__):
        return math.inf  # it made a variable of its own
    others = (n for n in s.__dict__ if n not in (*part.writes, "rank"))
    return max(_difference(moved, s, n) for n in others)


def _with_the_rest_shifted(part: Part, s: State) -> State:
    known = (*part.reads, *part.writes, "rank")
    return s.copy(**{n: v + 1.0 for n, v in s.__dict__.items() if n not in known})


def _undeclared_reads(part: Part, s: State) -> float:
    shifted = _with_the_rest_shifted(part, s)
    return _distance(part, _flow(part, shifted, 0.05), _flow(part, s, 0.05))


def _undeclared_reads_of_rate(part: Part, s: State) -> float:
    shifted = State(part.rate(_with_the_rest_shifted(part, s)))
    return _distance(part, shifted, State(part.rate(s.copy())))
