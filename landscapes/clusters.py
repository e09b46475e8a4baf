"""Clusters of atoms held together by a pair potential, with very many local minima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from . import checks
from .landscape import Landscape, Points

_CANDIDATES = 10  # points tried for each atom of a random start
_AT_ONCE = 1_500  # pairs of sixteen clusters: what a core's cache holds


class Cluster(Landscape):
    """f(x) = Σ_{i<j} V(r_ij) of n atoms at x of shape [n, 3], with r_ij = |x_i − x_j|.

    Moving, turning or reflecting the cluster and exchanging atoms leave f as it is, so that forces
    and torques sum to zero and every Hessian at a minimum has six zero eigenvalues (n > 2). Atoms
    that coincide count as a tiny distance apart: f and ∇f stay finite.

    A subclass gives V and V′/r as functions of r²: `pair` and `pull`.

    n: number of atoms, >= 2; bond: the distance at which V is least; name, minimum, source: as
    of every landscape.
    """

    def __init__(
        self, n: int, *, bond: float, name: str, minimum: float | None, source: str
    ) -> None:
        self.n = checks.integer(n, f"n of {type(self).__name__}", 2)
        self.bond = bond
        super().__init__(
            None,
            (self.n, 3),
            name=name,
            minimum=minimum,
            start=self.random_start(1, seed=0)[0],
            source=source,
        )

    def pair(self, s: Tensor) -> Tensor:
        """V(r) at s = r²."""
        raise NotImplementedError

    def pull(self, s: Tensor) -> Tensor:
        """V′(r)/r at s = r²: the gradient at atom i is Σ_j pull (x_i − x_j)."""
        raise NotImplementedError

    @property
    def radius(self) -> float:
        """Of a ball that has the volume of n close-packed atoms, bond³/√2 each."""
        return self.bond * (3 * self.n / (4 * math.sqrt(2) * math.pi)) ** (1 / 3)

    def random_start(self, batch: int, seed: int) -> Tensor:
        """`batch` random clusters at rest, [batch, n, 3], in a ball of `radius`.

        Atoms are placed one by one, each at that of ten uniform points which is farthest from the
        atoms already there, so that few overlap badly (best candidates, Mitchell 1991). The
        cluster k depends on the seed and k alone.
        """
        batch = checks.integer(batch, "batch of random_start", 0)
        random = np.random.Generator(np.random.Philox(checks.integer(seed, "seed", 0)))
        u = torch.from_numpy(random.random((batch, self.n, _CANDIDATES, 3)))
        points = self.radius * (u[..., 2] ** (1 / 3))[..., None] * direction(u[..., 0], u[..., 1])
        x = points[:, :1, 0]
        for tries in points[:, 1:].unbind(1):
            nearest = torch.cdist(tries, x, compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
            best = nearest.argmax(-1).reshape(-1, 1, 1).expand(-1, 1, 3)
            x = torch.cat((x, tries.gather(1, best)), 1)
        return x

    def atom_energies(self, x: Points) -> Tensor:
        """Σ_j V(r_ij) of every atom i at x [..., n, 3]: [..., n]; they add up to 2 f."""
        x = self._points(x)
        values = self.pair(_squares(x[..., :, None, :] - x[..., None, :, :], -1))
        return (values * (1 - torch.eye(self.n, dtype=x.dtype, device=x.device))).sum(-1)

    def f(self, x: Tensor) -> Tensor:
        return self._in_pieces(self._energy, x)

    def df(self, x: Tensor) -> Tensor:
        gradient = self._in_pieces(self._gradient, x)
        wanted = x.requires_grad and torch.is_grad_enabled()
        return gradient if wanted else gradient.detach()

    # Row k of what follows pairs every atom i with atom i + k (modulo n), for k = 1 … n/2: every
    # pair once, as views of x and not copies; in the last row of an even n twice, at half weight.

    def _energy(self, x: Tensor) -> Tensor:
        return self._once(self.pair(_squares(_differences(x), 2))).sum((0, 1))

    def _gradient(self, x: Tensor) -> Tensor:
        n, rows = self.n, self.n // 2
        d = _differences(x)
        force = d * self._once(self.pull(_squares(d, 2)))[:, :, None]
        # Atom i + k feels the opposite. Rows of n + rows + 1 numbers, read as if they had one
        # number less, are moved to the right by one more each; so the sum of row k at i + k − 1.
        wide = pad(force, (0, 0) * (x.ndim - 1) + (0, rows + 1)).flatten(0, 1)
        other = wide[: rows * (n + rows)].unflatten(0, (rows, n + rows)).sum(0)
        back = other[:n] + pad(other[n:], (0, 0) * (x.ndim - 1) + (0, n - rows))
        return back.roll(1, 0) - force.sum(0)

    def _once(self, rows: Tensor) -> Tensor:
        if self.n % 2 == 0:
            rows[-1] *= 0.5
        return rows

    def _in_pieces(self, function: Any, x: Tensor) -> Tensor:
        """function(x), few enough of the batch at a time that the pairs stay in the cache."""
        if x.ndim == 2 or x.numel() == 0:
            return function(x)
        size = 16 * max(1, _AT_ONCE // (self.n * (self.n // 2)))
        pieces = [function(piece) for piece in x.flatten(2).split(size, -1)]
        whole = torch.cat(pieces, -1) if len(pieces) > 1 else pieces[0]
        return whole.reshape(*whole.shape[:-1], *x.shape[2:])


class LennardJones(Cluster):
    """V(r) = 4 (r⁻¹² − r⁻⁶), in units of ε and σ: the deepest pair has −1 at r = 2^{1/6}.

    `minimum` is the global one of the Cambridge Cluster Database for n = 2 … 7, 13 and 38, in full
    precision; for others give it (see `cluster_tables`). n = 38 is the smallest hard one: its
    minimum is a truncated octahedron, most of its minima are icosahedral.

    Source: D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101 (1997) 5111.
    """

    def __init__(self, n: int, minimum: float | None = None) -> None:
        super().__init__(
            n,
            bond=2 ** (1 / 6),
            name=f"LJ{n}",
            minimum=_MINIMA.get(n) if minimum is None else minimum,
            source="D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101 (1997) 5111",
        )

    def __repr__(self) -> str:
        return f"LennardJones({self.n})"

    def pair(self, s: Tensor) -> Tensor:
        q = 1 / (s * s * s)
        return 4 * q * (q - 1)

    def pull(self, s: Tensor) -> Tensor:
        t = 1 / s
        q = t * t * t
        return t * q * (24 - 48 * q)


class Morse(Cluster):
    """V(r) = e^{ρ(1−r)} (e^{ρ(1−r)} − 2): the deepest pair has −1 at r = 1.

    The larger ρ, the shorter the range and the more local minima; ρ = 6 has the curvature of
    Lennard-Jones at the bottom, ρ = 3 is sodium, ρ = 14 is C₆₀.

    n: number of atoms, >= 2; rho: ρ > 0; minimum: the global one, if known (see
    `cluster_tables`).

    Source: J. P. K. Doye, D. J. Wales, J. Chem. Soc., Faraday Trans. 93 (1997) 4233.
    """

    def __init__(self, n: int, rho: float = 6.0, minimum: float | None = None) -> None:
        self.rho = checks.positive(rho, "rho of Morse")
        super().__init__(
            n,
            bond=1.0,
            name=f"Morse{n} ρ={self.rho:g}",
            minimum=minimum,
            source="J. P. K. Doye, D. J. Wales, J. Chem. Soc., Faraday Trans. 93 (1997) 4233",
        )

    def __repr__(self) -> str:
        return f"Morse({self.n}, rho={self.rho:g})"

    def pair(self, s: Tensor) -> Tensor:
        e = torch.exp(self.rho * (1 - s.sqrt()))
        return e * (e - 2)

    def pull(self, s: Tensor) -> Tensor:
        r = s.sqrt()
        e = torch.exp(self.rho * (1 - r))
        return -2 * self.rho * e * (e - 1) / r


def direction(u: Tensor, v: Tensor) -> Tensor:
    """The uniform directions [..., 3] that numbers u and v [...] in [0, 1) make."""
    height, angle = 2 * u - 1, 2 * math.pi * v
    across = (1 - height * height).sqrt()
    return torch.stack((across * angle.cos(), across * angle.sin(), height), -1)


def _differences(x: Tensor) -> Tensor:
    """x[i + k] − x[i] for k = 1 … n/2: [n/2, n, 3, *batch]."""
    n = x.shape[0]
    return torch.cat((x, x[: n // 2])).unfold(0, n, 1)[1:].movedim(-1, 1) - x


def _squares(d: Tensor, axis: int) -> Tensor:
    """r² over the axis of three, but at least so much that r⁻¹⁴ does not overflow."""
    a, b, c = d.unbind(axis)
    return (a * a + b * b + c * c).clamp_min(torch.finfo(d.dtype).max ** (-1 / 8))


_MINIMA = {
    2: -1.0,
    3: -3.0,
    4: -6.0,
    5: -9.103852415707557,
    6: -12.712062256809338,
    7: -16.505384168012213,
    13: -44.32680141953402,
    38: -173.92842659062873,
}
