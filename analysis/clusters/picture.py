"""A picture of a cluster: balls and bonds, seen from where its order shows."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from ...landscapes import Cluster
from .scene import Array, Scene

_BALL, _STICK = 0.36, 0.08  # radii, in bonds
_NEIGHBOUR = 1.25  # atoms closer than this, in bonds, are neighbours: the next shell is at √2
_GREY = np.array([0.78, 0.78, 0.80])
_TILT = (0.24, 0.20)  # radians: seen straight along an axis, atoms hide each other
_TOGETHER = 2.0  # atoms closer than this, in bonds, belong to one piece
_IN_A_LINE = 7  # numbers of neighbours
_WIDE = 3.0  # close-packed radii, and bonds, from the middle: beyond this atoms are far away


def draw_cluster(
    landscape: Cluster,
    x: Any,
    *,
    turn: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cluster at x [n, 3] into `ax` (a new figure without one) and return it.

    Bonds join neighbours, atoms closer than 1.25 times the pair's best distance. Colours are
    numbers of neighbours, as is said below the picture: from violet (none) to yellow (12, all
    around). What is far behind is pale. The title has the energy; of a cluster that has
    evaporated the picture shows the largest piece, and the title says so.

    turn    a rotation [3, 3]: the picture shows the first two coordinates of x turnᵀ. If absent,
            the cluster is seen from near the direction in which it is thinnest, by Σ (x·u)⁶; of
            a symmetric one that is an axis of symmetry
    title   in place of the name and the energy

    Raises TypeError for a landscape that is no Cluster, ValueError for x of another shape or
    with NaN or infinity.
    """
    if not isinstance(landscape, Cluster):
        raise TypeError(
            f"draw_cluster takes a Cluster first, such as LennardJones(13); got {landscape!r}"
        )
    at = torch.as_tensor(x, dtype=torch.float64).detach()
    if at.shape != landscape.shape:
        raise ValueError(
            f"x must be one cluster of shape {landscape.shape}; got {tuple(at.shape)}"
            + (" (take one of the batch)" if at.shape[1:] == landscape.shape else "")
        )
    if not bool(at.isfinite().all()):
        raise ValueError("x must be finite; it has NaN or infinity (a run that was lost?)")
    piece = _piece(at.numpy() / landscape.bond, landscape.radius / landscape.bond)
    centred = piece - piece.mean(0)
    turned = centred @ (view(centred) if turn is None else np.asarray(turn)).T
    reach = float(np.abs(turned[:, :2]).max()) + 1.4 * _BALL
    ax = ax or plt.figure(figsize=(4.5, 4.8), layout="constrained").add_subplot()
    near = _neighbours(turned)
    ax.imshow(
        _scene(turned, reach, near).pixels(),
        extent=(-reach, reach, -reach, reach),
        origin="lower",
        interpolation="antialiased",
    )
    ax.set_axis_off()
    label = f"{landscape.name}    E = {landscape(at).item():.6f}"
    if len(piece) < landscape.n:
        label += f"\nevaporated: the largest piece, {len(piece)} of {landscape.n} atoms"
    ax.set_title(title or label)
    _explain(ax, near)
    return ax


def view(x: Array) -> Array:
    """The rotation [3, 3] in which `draw_cluster` shows points x [n, 3], centred at 0."""
    k = np.arange(4000) + 0.5
    height, angle = 1 - k / len(k), math.pi * (1 + math.sqrt(5)) * k  # half of a Fibonacci sphere
    wide = np.sqrt(1 - height**2)
    directions = np.stack((wide * np.cos(angle), wide * np.sin(angle), height), 1)
    axis = directions[((x @ directions.T) ** 6).sum(0).argmin()]
    flat = x - np.outer(x @ axis, axis)
    up = flat[(flat**2).sum(1).argmax()]
    if not (size := np.linalg.norm(up)):  # one point, or all in one
        return np.eye(3)
    up = up / size
    straight = np.stack((np.cross(up, axis), up, axis))
    return _turned(0, -_TILT[0]) @ _turned(1, _TILT[1]) @ straight


def _turned(axis: int, angle: float) -> Array:
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
    return turn


def _distances(x: Array) -> Array:
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def _piece(x: Array, radius: float) -> Array:
    """x [n, 3] in bonds; of a cluster that has come apart the largest piece."""
    if np.linalg.norm(x - x.mean(0), axis=1).max() < _WIDE * (radius + 1):
        return x
    pieces = connected_components(_distances(x) < _TOGETHER, directed=False)[1]
    return x[pieces == np.bincount(pieces).argmax()]


def _neighbours(x: Array) -> NDArray[np.bool_]:
    distance = _distances(x)
    return (distance > 0) & (distance < _NEIGHBOUR)


def _colours(neighbours: NDArray[np.int_]) -> Array:
    return colormaps["viridis"](0.12 + 0.82 * neighbours / 12)[:, :3]


def _explain(ax: Axes, near: NDArray[np.bool_]) -> None:
    """Below the picture: which colour has how many neighbours."""
    counts = np.unique(near.sum(1))
    dots = [Line2D([], [], ls="none", marker="o", ms=7, color=c) for c in _colours(counts)]
    ax.legend(
        dots, [str(n) for n in counts], loc="upper center", bbox_to_anchor=(0.5, 0.0),
        ncols=min(len(counts), _IN_A_LINE), frameon=False, title="neighbours of an atom",
        title_fontsize=9, fontsize=9, handletextpad=0.0, columnspacing=0.8, borderpad=0.0,
    )  # fmt: skip


def _scene(x: Array, reach: float, near: NDArray[np.bool_]) -> Scene:
    """Atoms at x, in bonds."""
    scene = Scene(reach)
    for place, colour in zip(x, _colours(near.sum(1)), strict=True):
        scene.ball(place, _BALL, colour)
    for i, j in np.argwhere(np.triu(near)):
        scene.stick(x[i], x[j], _STICK, _GREY)
    return scene
