"""A picture of a cluster: balls and bonds, seen from where its order shows."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from ...landscapes import Cluster
from .quench import points
from .scene import Array, Scene

_BALL, _STICK = 0.36, 0.08  # radii, in bonds
_NEIGHBOUR = 1.25  # atoms closer than this, in bonds, are neighbours: the next shell is at √2
_GREY = np.array([0.78, 0.78, 0.80])
_TILT = (0.24, 0.20)  # radians: seen straight along an axis, atoms hide each other


def draw_cluster(
    landscape: Cluster,
    x: Any,
    *,
    turn: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cluster at x [n, 3] into `ax` (a new figure without one) and return it.

    Bonds join neighbours, colours are numbers of neighbours (yellow: 12, all around), and what is
    far is pale. The title has the energy.

    turn    a rotation [3, 3]: the picture shows the first two coordinates of x turnᵀ. If absent,
            the cluster is seen from near the direction in which it is thinnest, by Σ (x·u)⁶; of
            a symmetric one that is an axis of symmetry
    title   in place of the name and the energy
    """
    at = points(landscape, np.asarray(x)[None])
    energy = landscape(at).item()
    centred = at[0].numpy() - at[0].numpy().mean(0)
    turned = centred @ (view(centred) if turn is None else np.asarray(turn)).T / landscape.bond
    reach = float(np.abs(turned[:, :2]).max()) + 1.4 * _BALL
    ax = ax or plt.figure(figsize=(4.5, 4.8), layout="constrained").add_subplot()
    ax.imshow(
        _scene(turned, reach).pixels(),
        extent=(-reach, reach, -reach, reach),
        origin="lower",
        interpolation="antialiased",
    )
    ax.set_axis_off()
    ax.set_title(title or f"{landscape.name}    E = {energy:.6f}")
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
    up = up / np.linalg.norm(up)
    straight = np.stack((np.cross(up, axis), up, axis))
    return _turned(0, -_TILT[0]) @ _turned(1, _TILT[1]) @ straight


def _turned(axis: int, angle: float) -> Array:
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
    return turn


def _scene(x: Array, reach: float) -> Scene:
    """Atoms at x, in bonds."""
    scene = Scene(reach)
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    near = (distance > 0) & (distance < _NEIGHBOUR)
    colours = colormaps["viridis"](0.12 + 0.82 * near.sum(1) / 12)[:, :3]
    for place, colour in zip(x, colours, strict=True):
        scene.ball(place, _BALL, colour)
    for i, j in np.argwhere(np.triu(near)):
        scene.stick(x[i], x[j], _STICK, _GREY)
    return scene
