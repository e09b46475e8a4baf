"""Lyapunov certificates: proved rates of decay, and whether a trajectory keeps to them."""

import math
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ...dynamics import CADAM, CD, KFAD, LDHD, Dynamics, PreconditionedDrift, State
from ...dynamics.momentum.flows import AdamODE
from ...integrators import Trajectory
from ...integrators.start import on_tensors
from ...integrators.trajectory import in_pieces, inside
from ...landscapes import Landscape
from .audit import refuse_other_run, saved_states
from .certificate import TOLERANCE, Assumption, Certificate, Worst, worst

Bound = Literal["sharp", "simple"]

PROVED = LDHD | CD | KFAD
"""The dynamics with a proved exponential rate on every m-strongly convex f."""

_RESOLVED = 1e-6  # of the numbers V is made of: below it their rounding reaches TOLERANCE


class Proof(NamedTuple):
    """V = F + ½|p + a y|² + b/2 |y|² + μ/2 |ξ|² satisfies V' <= −rate·V, with y = x − x*."""

    a: Tensor
    b: Tensor
    rate: Tensor


def prove(dynamics: Dynamics, m: float, energy: Any, bound: Bound = "sharp") -> Proof:
    """The Lyapunov function of LDHD, CD, KFAD or IKFAD on m-strongly convex f, and its rate.

    `energy` is E₀, the Lyapunov energy less f* at the start; it may be a tensor, one per
    trajectory. With b = a (γ − 2a) and the rate a except in R2:

    * LDHD, "sharp": R1 for γ <= 3√(m/2): a = 2γ/3.  R2 above: a = r₊, b = −m, rate 2 r₋ with
      r± = (γ ± √(γ² − 4m))/2, the rate of the quadratic itself.  The best γ is 3√(m/2): √(2m).
    * LDHD, "simple": R3, a = min(2γ/3, m/γ)
    * CD: a = min(2γ/3, m/(γ + (3/16) c E₀ γ²/m))
    * KFAD, iKFAD: a = min(γ/3, α, m/γ, √(αγmμ/(2E₀)))

    Only y·∇f >= F + m/2 |y|² is used. R1 and R2 meet the rate of Aujol, Dossal and Rondepierre
    (2022) for quasi-strongly convex f.
    """
    v = {k: torch.as_tensor(u, dtype=torch.float64) for k, u in dynamics.hyperparameters.items()}
    gamma, energy = v["gamma"], torch.as_tensor(energy, dtype=torch.float64)
    if isinstance(dynamics, LDHD) and bound == "sharp":
        gentle = gamma * gamma <= 4.5 * m
        root = torch.sqrt((gamma * gamma - 4 * m).clamp(min=0))
        slow, fast = 2 * m / (gamma + root), (gamma + root) / 2
        a = torch.where(gentle, 2 * gamma / 3, fast)
        b = torch.where(gentle, a * (gamma - 2 * a), torch.full_like(a, -m))
        return Proof(a, b, torch.where(gentle, a, 2 * slow))
    if isinstance(dynamics, LDHD):
        limits = [2 * gamma / 3, m / gamma]
    elif isinstance(dynamics, CD):
        limits = [2 * gamma / 3, m / (gamma + 3 / 16 * v["c"] * energy * gamma**2 / m)]
    else:
        mixed = torch.sqrt(v["alpha"] * gamma * m * v["mu"] / (2 * energy))
        limits = [gamma / 3, v["alpha"], m / gamma, mixed]
    a = torch.stack(torch.broadcast_tensors(*limits)).amin(0)
    return Proof(a, a * (gamma - 2 * a), a)


@torch.no_grad()
def certificate(
    dynamics: Dynamics,
    landscape: Landscape,
    run: Trajectory,
    *,
    m: float | None = None,
    bound: Bound = "sharp",
) -> Certificate:
    """Evaluate the Lyapunov function of a dynamics along a run by `simulate` or `solve`.

    m      strong convexity to try in place of the landscape's
    bound  LDHD: "sharp" (R1, R2) or "simple" (R3); see `prove`

    LDHD, CD, KFAD, IKFAD: the V of `prove`, E₀ being each trajectory's energy at its first state;
    of several minimisers the one nearest to the end of the run is meant. CADAM and AdamODE: V is
    H_C (with f* = 0 where it is not known), nonincreasing for γ >= α/4. An assumption that does
    not hold is reported, not raised.
    Raises ValueError for other dynamics, and for a run of another dynamics or landscape.
    """
    if bound not in ("sharp", "simple"):
        raise ValueError(f"bound must be 'sharp' or 'simple'; got {bound!r}")
    metric = isinstance(dynamics, CADAM | AdamODE) and "t" not in dynamics.variables
    if not metric and not isinstance(dynamics, PROVED):
        raise ValueError(
            f"no certificate is known for {dynamics.name}; LDHD, CD, KFAD, IKFAD, and CADAM and "
            "AdamODE without bias correction have one"
        )
    refuse_other_run(dynamics, landscape, run)
    run = replace(run, states={name: value.double() for name, value in run.states.items()})
    dynamics = on_tensors(dynamics, run["x"].device)
    s = saved_states(dynamics, landscape, run)
    if metric:
        return _metric_certificate(dynamics, landscape, run.times, s)
    return _exponential_certificate(
        dynamics, landscape, run.times, s, landscape.m if m is None else float(m), bound
    )


def _exponential_certificate(
    dynamics: Dynamics,
    landscape: Landscape,
    times: Tensor,
    s: State,
    m: float | None,
    bound: Bound,
) -> Certificate:
    v = {name: torch.as_tensor(value) for name, value in dynamics.hyperparameters.items()}
    centre = _minimiser(landscape, s)
    known = "it is not known; pass m=..." if m is None else f"m = {m:g}"
    assumptions = [
        *(
            Assumption(f"{symbol} > 0", bool((v[name] > 0).all()))
            for name, symbol in (("gamma", "γ"), ("alpha", "α"))
            if name in v
        ),
        Assumption(f"the strong convexity m > 0 is known ({known})", m is not None and m > 0),
        Assumption("the minimiser is known", centre is not None),
    ]
    theorem = f"V' <= −rate·V on m-strongly convex f ({dynamics.name})"
    if centre is None or m is None or m <= 0:
        nothing = torch.full(s.x.shape[s.rank :], math.nan, dtype=torch.float64)
        return Certificate(
            times=times,
            V=nothing,
            slope=nothing,
            allowed=nothing,
            limit=nothing,
            rate=nothing[0],
            violation=Worst(math.nan),
            overshoot=Worst(math.nan),
            assumptions=tuple(assumptions),
            theorem=theorem,
        )

    f = in_pieces(landscape.f, s.x, s.rank, 0)
    least = landscape.f(centre) if landscape.minimum is None else landscape.minimum
    F = f - least
    y = s.x - centre
    size = f.abs() + (f - F).abs()  # what F is the difference of
    assumptions += _convex_along(s, F, y, m, size + s.total((s.g * centre).abs()), times)
    energy = dynamics.energy(s, F)
    if not isinstance(dynamics, LDHD):
        rise = worst(energy / energy[0] - 1, times, judged=energy[0] > 0)
        assumptions.append(Assumption("E <= E₀ along the run", not rise.value > TOLERANCE, rise))

    proof = prove(dynamics, m, energy[0], bound)
    rate = proof.rate
    V, slope = _value_and_slope(dynamics, s, F, y, proof)
    squares = s.total(y * y) + s.total((y * centre).abs())  # x* may be rounded too
    pieces = size + energy.abs() + (proof.a**2 + proof.b.abs()) * squares
    judged = (V.abs() > _RESOLVED * pieces) & (rate > 0)
    allowed = -rate * V
    elapsed = (times - times[0]).reshape(-1, *(1,) * (V.ndim - 1))
    limit = V[0] * torch.exp(-rate * elapsed)
    return Certificate(
        times=times,
        V=V,
        slope=slope,
        allowed=allowed,
        limit=limit,
        rate=rate.broadcast_to(V.shape[1:]),
        violation=worst((slope - allowed) / allowed.abs(), times, judged),
        overshoot=worst((V - limit) / V[0], times, V[0] > 0),
        assumptions=tuple(assumptions),
        theorem=theorem,
    )


def _convex_along(
    s: State, F: Tensor, y: Tensor, m: float, blur: Tensor, times: Tensor
) -> list[Assumption]:
    """The two inequalities that the proofs take from strong convexity, at the saved states.

    Their excess is relative to their terms and to `blur`, whose rounding they bear.
    """
    bowl, pull = m / 2 * s.total(y * y), s.total(y * s.g)
    excesses = {
        "y·∇f >= F + m/2 |y|² along the run": F + bowl - pull,
        "F >= m/2 |y|² along the run": bowl - F,
    }
    scale = pull.abs() + F.abs() + bowl + blur
    found = {text: worst(excess / scale, times) for text, excess in excesses.items()}
    return [Assumption(text, not w.value > TOLERANCE, w) for text, w in found.items()]


def _value_and_slope(
    dynamics: Dynamics, s: State, F: Tensor, y: Tensor, proof: Proof
) -> tuple[Tensor, Tensor]:
    """V of `prove` and V' along the exact vector field, by the chain rule."""
    rates = dynamics.rate(s)
    names = tuple(rates)
    centre = s.x - y

    def beside_f(*values: Tensor) -> Tensor:
        moved = s.copy(**dict(zip(names, values, strict=True)))
        offset = moved.x - centre
        shifted = moved.p + proof.a * offset
        stored = (p.energy(moved) for p in dynamics.parts.values() if "x" not in p.writes)
        squares = shifted * shifted + proof.b * offset * offset
        return torch.as_tensor(sum(stored, start=0.5 * moved.total(squares)))

    here = tuple(getattr(s, name) for name in names)
    rest, slope = torch.func.jvp(beside_f, here, tuple(rates.values()))[:2]
    return F + rest, s.total(s.g * rates["x"]) + slope


def _metric_certificate(
    dynamics: Dynamics, landscape: Landscape, times: Tensor, s: State
) -> Certificate:
    """H_C' <= −Σ((γ − α/4) p² + c p⁴)/(√ζ + ε), by dropping what p²(g² + αε√ζ) takes away."""
    v = dynamics.hyperparameters
    gamma, alpha, c = v["gamma"], v["alpha"], v.get("c", 0.0)
    drift = dynamics.parts["A"]
    assert isinstance(drift, PreconditionedDrift)
    f = in_pieces(landscape.f, s.x, s.rank, 0)
    V = dynamics.energy(s, f - (landscape.minimum or 0.0))
    slope = dynamics.energy_rate(s)
    p2 = s.p * s.p
    cubic, metric = c * p2 * p2, drift.metric(s)
    allowed = -s.total(((gamma - alpha / 4) * p2 + cubic) / metric)
    scale = s.total(((gamma + alpha / 4) * p2 + cubic) / metric)
    limit = torch.cat((V[:1], V.cummin(0).values[:-1]))
    enough = bool((torch.as_tensor(gamma) >= torch.as_tensor(alpha) / 4).all())
    return Certificate(
        times=times,
        V=V,
        slope=slope,
        allowed=allowed,
        limit=limit,
        rate=torch.zeros_like(V[0]),
        violation=worst((slope - allowed) / scale, times, scale > 0),
        overshoot=worst((V - limit) / V[0], times, V[0] > 0),
        assumptions=(Assumption("γ >= α/4", enough),),
        theorem=f"H_C does not increase ({dynamics.name})",
    )


def _minimiser(landscape: Landscape, s: State) -> Tensor | None:
    """x* [*shape, 1, *batch]: of several, for each trajectory the one nearest to its end."""
    if landscape.minimisers is None:
        return None
    end = s.x.select(s.rank, -1)
    points = landscape.minimisers.to(end).reshape(-1, *landscape.shape, *(1,) * (end.ndim - s.rank))
    distances = torch.stack([s.total((end - point) ** 2) for point in points])
    nearest = landscape.minimisers.to(end)[distances.argmin(0)]
    return inside(nearest, s.rank).unsqueeze(s.rank)
