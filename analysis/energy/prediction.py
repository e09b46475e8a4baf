"""What theory says about the decay of the energy E = f − f* + ½|p|² (CADAM and AdamODE: H_C)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from scipy.optimize import root_scalar
from torch import Tensor

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD, AdamODE, Dynamics, GradientFlow
from ...landscapes import Landscape
from .lyapunov import PROVED, prove

Model = Literal["exponential", "algebraic", "none", "unknown"]


@dataclass(frozen=True)
class Prediction:
    """The asymptotic law near a minimiser.

    model  "exponential": E ~ e^{−rate t};  "algebraic": E ~ 1/(rate t), so that d(1/E)/dt → rate;
           "none": E does not tend to 0;  "unknown": no closed form is known
    rate   NaN where there is none
    law    the formula and its conditions, in words
    """

    model: Model
    rate: float
    law: str


def predict(
    dynamics: Dynamics, landscape: Landscape, at: Any = None, step: float | None = None
) -> Prediction:
    """The asymptotic law of a catalogue dynamics near the minimiser `at` (default: the first).

    `step` tells on which side of its discrete floor a CADAM run with that step size ends.
    Sources: linearisation and averaging over one period of the modes f = ½ Σ k_i y_i². The
    averaged constants need modes that do not mix the coordinates (diagonal Hessian); KFAD's
    friction depends on |p|² alone and needs no such thing.
    """
    point = at if at is not None else landscape.minimisers
    if point is None:
        return Prediction("unknown", math.nan, f"the minimiser of {landscape.name} is not known")
    point = torch.as_tensor(point, dtype=torch.float64)
    if point.ndim > len(landscape.shape):
        point = point[0]
    hessian = landscape.hessian(point)
    modes = torch.linalg.eigvalsh(hessian)
    if bool(modes[0] <= 0):
        return Prediction("unknown", math.nan, "the Hessian at the minimiser is singular")
    v = {name: float(value) for name, value in dynamics.hyperparameters.items()}
    if isinstance(dynamics, AdamODE):
        dynamics = CADAM(v["gamma"], v["alpha"], 0.0, v["eps"])
        v["c"] = 0.0
    if isinstance(dynamics, CADAM):
        return _cadam(dynamics, v, hessian, modes, step)
    if isinstance(dynamics, LDHD | CD | KFAD | RIKFAD) and v["gamma"] > 0:
        return _damped(v, modes)
    if isinstance(dynamics, RIKFAD):
        return _rank_one(dynamics, v, landscape.shape, hessian, modes)
    if isinstance(dynamics, LDHD | CD | KFAD):
        return _undamped(dynamics, v, hessian, modes)
    if isinstance(dynamics, GradientFlow):
        return _descent(v["eta"], modes)
    return Prediction("unknown", math.nan, f"no law is recorded for {dynamics.name}")


def linear_rate(gamma: float, modes: Tensor) -> float:
    """min over modes k of γ − Re √(γ² − 4k): twice the spectral abscissa of x'' + γx' + kx = 0."""
    root = torch.sqrt((gamma**2 - 4 * modes).clamp(min=0))
    return float((gamma - root).min())


def _descent(eta: float, modes: Tensor) -> Prediction:
    """f' = −η|∇f|², and |∇f|² tends to 2m (f − f*) as the slowest mode is what remains."""
    if eta <= 0:
        return Prediction("none", math.nan, "η <= 0: f does not fall")
    law = "linearised at the minimiser: rate 2ηm, m the smallest curvature"
    return Prediction("exponential", 2 * eta * float(modes[0]), law)


def _damped(v: dict[str, float], modes: Tensor) -> Prediction:
    if v.get("alpha") == 0:
        return Prediction(
            "unknown", math.nan, "α = 0: the friction ξ keeps a value that depends on the start"
        )
    rate = linear_rate(v["gamma"], modes)
    slowest = "γ (all modes oscillate)" if rate == v["gamma"] else "2 r₋ of the slowest mode"
    return Prediction("exponential", rate, f"linearised at the minimiser: rate {slowest}")


def _undamped(
    dynamics: Dynamics, v: dict[str, float], hessian: Tensor, modes: Tensor
) -> Prediction:
    if isinstance(dynamics, LDHD) or v.get("c") == 0:
        return Prediction("none", math.nan, "γ = 0: the dynamics conserves its energy")
    if v.get("alpha") == 0:
        return Prediction(
            "unknown", math.nan, "γ = α = 0: exponential, with the friction √(2H̃/μ) it ends on"
        )
    if isinstance(dynamics, KFAD) and not isinstance(dynamics, IKFAD):
        a, mu = v["alpha"], v["mu"]
        kappa = (1 / a + a / (2 * float((a * a + 4 * modes).sum()))) / mu
        law = "κ = (1/α + α/(2 Σ(α² + 4k_i)))/μ"
        shares = a * a + 4 * modes
        if float(shares[-1] / shares[0]) > 100:  # the shares drift like t^−s, s < α²/(α² + 4k)
            law += ", once E_i ∝ α² + 4k_i, which the modes approach only like a small power of t"
        return Prediction("algebraic", kappa, law)
    if not _is_diagonal(hessian):
        return Prediction(
            "algebraic", math.nan, "E ~ 1/t; no constant is known for modes that mix coordinates"
        )
    d = len(modes)
    if isinstance(dynamics, CD):
        return Prediction("algebraic", 3 * v["c"] / (2 * d), "κ = 3c/(2d)")
    a, mu = v["alpha"], v["mu"]
    kappas = (1 / a + a / (2 * (a * a + 4 * torch.diagonal(hessian)))) / mu
    law = "1/κ = Σ 1/κ_i, κ_i = (1/α + α/(2(α² + 4k_i)))/μ"
    return Prediction("algebraic", 1 / float((1 / kappas).sum()), law)


def _rank_one(
    dynamics: RIKFAD,
    v: dict[str, float],
    shape: tuple[int, ...],
    hessian: Tensor,
    modes: Tensor,
) -> Prediction:
    """γ = 0: Ξ is of first order in the frictions at ε = 0, of second order for ε > 0."""
    if v["alpha"] == 0:
        return Prediction("unknown", math.nan, "γ = α = 0: the friction it ends on has no formula")
    vector = len(shape) < 2
    one_line = vector or 1 in (shape[0], math.prod(shape[1:]))
    if vector or (one_line and v["eps_stab"] == 0):  # the same as IKFAD
        return _undamped(dynamics, v, hessian, modes)
    if v["eps_stab"] == 0:
        law = "E ~ 1/t; a constant is known only for one row or one column"
        return Prediction("algebraic", math.nan, law)
    law = "ε > 0: E ~ 1/√t, d(E⁻²)/dt tends to a constant"
    if math.prod(shape) == 1:
        law += f", 2κ₂/(εμ²) = {inverse_square_rate(v, float(modes[0])):g}"
    return Prediction("unknown", math.nan, law)


def inverse_square_rate(v: Mapping[str, float], k: float, energy: float = 0.0) -> float:
    """d(E⁻²)/dt of RIKFAD on the 1 × 1 matrix, f = k x²/2, γ = 0, ε = `eps_stab` > 0, at energy E:

        2κ₂/(εμ²) · (1 − κ₃E/(κ₂εμ)),  κ₂ = 1/α² + 3/(2D),
        κ₃ = 1/α³ + 3/(αD) + 3α/(8D²),  D = α² + 4k;  E = 0 is the limit t → ∞.

    With p² = E(1 − cos θ), r = (E/μ)(1/α − X), X = Re e^{iθ}/(α + 2i√k), κ_n is the mean of
    (1/α − X)ⁿ (1 − cos θ) over a period, and E' = −⟨Ξp²⟩ with Ξ = r²/(r + ε) ≈ r²/ε − r³/ε².
    """
    a, mu, eps = v["alpha"], v["mu"], v["eps_stab"]
    d = a * a + 4 * k
    second = 1 / a**2 + 3 / (2 * d)
    third = 1 / a**3 + 3 / (a * d) + 3 * a / (8 * d * d)
    return 2 * second / (eps * mu**2) * (1 - third * energy / (second * eps * mu))


def _cadam(
    dynamics: CADAM, v: dict[str, float], hessian: Tensor, modes: Tensor, step: float | None
) -> Prediction:
    gamma, alpha, eps = v["gamma"], v["alpha"], v["eps"]
    if gamma == 0:
        if v["c"] == 0:
            return Prediction("none", math.nan, "γ = c = 0: the energy grows")
        law = "γ = 0: the lag of ζ feeds a limit cycle"
        if alpha > 0 and _is_diagonal(hessian):
            height = sum(limit_cycle_energy(dynamics, float(k)) for k in torch.diagonal(hessian))
            law += f", H_C near Σ αs²/k = {height:.3g}, s(s + ε)² = k/(12c) (ω much larger than α)"
        return Prediction("none", math.nan, law)
    grows = gamma <= alpha / 8
    if _eps_takes_over(alpha, eps, gamma, modes, step):
        if grows:
            law = (
                "γ <= α/8 and ε > 0: decays from small amplitudes, ends on a cycle from large ones"
            )
            return Prediction("unknown", math.nan, law)
        law = f"√ζ < ε = {eps:g} in the end: LDHD with mass 1/ε"
        return Prediction("exponential", linear_rate(gamma, modes / eps), law)
    note = f"; ε = {eps:g}"
    if step is not None:
        height = cadam_floor(alpha, modes, step)
        note += f" is too small for this h: a long run ends on a floor near {height:.0e}"
    if not _is_diagonal(hessian):
        return Prediction("unknown", math.nan, "no closed form where modes mix coordinates" + note)
    if grows:
        return Prediction("none", math.nan, "γ <= α/8: oscillations grow until c stops them")
    regime = "ω much larger than α, √ζ above ε"
    if gamma > 1.25 * alpha:
        law = f"λ = γ − α/4 (γ > 5α/4, {regime}){note}"
        return Prediction("exponential", gamma - alpha / 4, law)
    law = f"λ = (8γ − α)/9 (γ < 5α/4, {regime}){note}"
    return Prediction("exponential", (8 * gamma - alpha) / 9, law)


def _eps_takes_over(
    alpha: float, eps: float, gamma: float, modes: Tensor, step: float | None
) -> bool:
    """Whether a run gets to √ζ < ε: before its discrete floor, and before E is below 1e-14."""
    energy = alpha * eps**2 / float(modes[0])  # where ζ ~ g²/α ~ k E/α falls to ε²
    return energy > 1e-14 and eps > cadam_floor_eps(gamma, float(modes[-1]), step)


def cadam_floor_eps(gamma: float, L: float, step: float | None) -> float:
    """The ε above which CADAM at step h reaches the minimiser: ρ h² L / (2(1 + β)), ρ <= 1.

    Taken at ρ = 1, the largest of all words with one gradient per step; 0 for the ODE, whose
    √ζ always falls below ε > 0 in the end.
    """
    if step is None:
        return 0.0
    return step**2 * L / (2 * (1 + math.exp(-gamma * step)))


def cadam_floor(alpha: float, modes: Tensor, step: float) -> float:
    """The size of H_C on which CADAM at a fixed step ends when ε is too small: α h⁴ Σk / 12.

    There ζ stays where the step is marginally stable, √ζ = h²k/4, and each coordinate flips its
    sign at every step. Good to about 20% per mode.
    """
    return alpha * step**4 * float(modes.sum()) / 12


def limit_cycle_energy(dynamics: CADAM, k: float) -> float:
    """The H_C of the limit cycle on which CADAM ends at γ = 0, c > 0, on f = k x²/2:

        H_C = α s²/k,  s = √ζ the root of s (s + ε)² = k/(12c);  at ε = 0: α (12c)^(−2/3) k^(−1/3)

    Averaged over a period, for √(k/(s + ε)) ≫ α: there the lag of ζ behind g² feeds in as much
    as the cubic damping removes. Uncoupled coordinates each have their own cycle. Raises
    TypeError for another dynamics, ValueError where there is no cycle (γ ≠ 0, α, c or k not > 0).
    """
    if not isinstance(dynamics, CADAM):
        raise TypeError(f"limit_cycle_energy takes a CADAM(gamma=0, ...); got {dynamics!r}")
    v = {name: float(value) for name, value in dynamics.hyperparameters.items()}
    if v["gamma"] != 0 or min(v["alpha"], v["c"], k) <= 0:
        raise ValueError(
            f"the limit cycle needs gamma = 0 and alpha, c, k > 0; got {dynamics!r}, k={k:g}"
        )
    size = math.cbrt(k / (12 * v["c"]))
    e = v["eps"] / size
    root = root_scalar(lambda u: u * (u + e) ** 2 - 1, bracket=(0.0, 2.0), xtol=1e-300, rtol=1e-14)
    return v["alpha"] * (size * root.root) ** 2 / k


def provable_rate(dynamics: Dynamics, landscape: Landscape, energy: float) -> float | None:
    """The exponential rate proved for every m-strongly convex f, from the Lyapunov energy at t = 0.

    `energy` is H̃(0) − f*. None where nothing is proved: m unknown or 0, γ = 0, CADAM. The
    formulas are in `lyapunov.prove`; `certificate` follows them along a run.
    """
    m = landscape.m
    if not m or not isinstance(dynamics, PROVED) or not float(dynamics.hyperparameters["gamma"]):
        return None
    return float(prove(dynamics, m, energy).rate)


def _is_diagonal(hessian: Tensor) -> bool:
    off = hessian - torch.diag(torch.diagonal(hessian))
    return bool(off.abs().max() <= 1e-9 * hessian.abs().max())
