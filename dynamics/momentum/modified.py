"""The modified equations of heavy ball and Nesterov with fixed momentum."""

from torch import Tensor

from .fixed import FixedMomentum
from .second_order import MomentumFlow, second_order

_KS = "Kovachki, Stuart, Continuous time analysis of momentum methods, JMLR 22(17), 2021"


class ModifiedMomentum(MomentumFlow):
    """Kovachki and Stuart's modified equation:  hα ü + (1 − λ) u̇ = −∇f,  t = n h.

    For the scheme and the constants of `FixedMomentum`. Within O(h) of the iterates for every
    initial velocity; after the transient, of some 1/(1 − λ) steps, within O(h²) from the
    "matched" one, which is derived here by matching the transient's displacement, and only O(h)
    from any other: the "published" one is such, except for Nesterov at λ = ½, where the two are
    equal. p = hα u̇.

    h: the scheme's step > 0; momentum: 0 < λ < 1; nesterov: look-ahead gradient.
    """

    word = "BADAB"
    citation = _KS

    def __init__(self, h: float, momentum: float, nesterov: bool = False) -> None:
        self.scheme = scheme = FixedMomentum(h, momentum, nesterov)
        mass = h * scheme.inertia
        parts = second_order((1 - momentum) / mass, 1 / mass)
        super().__init__(*parts)

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        return {
            "matched": self.scheme.matched(gradient),
            "published": self.scheme.published(gradient),
            **super().velocities(gradient),
        }


class UniformMomentum(MomentumFlow):
    """The equation that follows momentum methods to O(h²) through the transient as well:

        hα′ ü + ((1 − λ) + hδ ∇²f) u̇ = −∇f,  t = n h,

    with the constants of `FixedMomentum` and its matched velocity. It is not published, but
    derived here, by matching the decay and the displacement of the scheme's transient as well as
    its slow motion. p = m (u̇ + η ∇f) with η = δ/α′ (negative where δ is) and m = hα′²/α.

    h: the scheme's step > 0; momentum: 0 < λ < 1; nesterov: look-ahead gradient.
    """

    word = "BDFA"
    citation = f"derived here from {_KS}"

    def __init__(self, h: float, momentum: float, nesterov: bool = False) -> None:
        self.scheme = scheme = FixedMomentum(h, momentum, nesterov)
        inertia = scheme.uniform_inertia
        force = 1 / (h * inertia)
        eta = scheme.hessian_damping / inertia
        parts = second_order((1 - momentum) * force, force, eta)
        super().__init__(*parts)

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        matched = self.scheme.matched(gradient, uniform=True)
        return {"matched": matched, **super().velocities(gradient)}
