"""Balls and sticks in parallel projection, pixel by pixel: the nearest surface is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_PIXELS = 700
_LIGHT = np.array([-0.45, 0.60, 0.66]) / np.linalg.norm([-0.45, 0.60, 0.66])
_HALFWAY = np.array([-0.25, 0.33, 0.91]) / np.linalg.norm([-0.25, 0.33, 0.91])  # to the viewer
_AMBIENT, _DIFFUSE, _GLOSS, _MIST = 0.38, 0.72, 0.55, 0.55


class Scene:
    """A square picture of |x|, |y| < reach, seen against the direction z.

    It holds for every pixel the depth and the colour of the nearest surface so far.
    """

    def __init__(self, reach: float) -> None:
        self._axis = np.linspace(-reach, reach, _PIXELS)
        self._depth = np.full((_PIXELS, _PIXELS), -np.inf)
        self._colour = np.zeros((_PIXELS, _PIXELS, 3))

    def ball(self, centre: Array, radius: float, colour: Array) -> None:
        """Draw a ball."""
        window, u, v = self._window(centre[:2] - radius, centre[:2] + radius)
        a, b = (u - centre[0]) / radius, (v - centre[1]) / radius
        c = np.sqrt(np.maximum(0.0, 1 - a * a - b * b))
        normal = np.stack((a, b, c), -1)
        self._put(window, a * a + b * b < 1, centre[2] + radius * c, normal, colour)

    def stick(self, start: Array, end: Array, radius: float, colour: Array) -> None:
        """Draw a cylinder from `start` to `end`, without lids."""
        along = end - start
        size, length = float(np.linalg.norm(along)), float(np.linalg.norm(along[:2]))
        if length < 1e-9 * size:
            return  # seen from its end
        t = along[:2] / length
        across = np.array([-t[1], t[0], 0.0])
        front = np.cross(along, across) / size  # at right angles to the axis, towards the viewer
        low, high = np.minimum(start, end)[:2] - radius, np.maximum(start, end)[:2] + radius
        window, u, v = self._window(low, high)
        u, v = u - start[0], v - start[1]
        side = (v * t[0] - u * t[1]) / radius
        bulge = np.sqrt(np.maximum(0.0, 1 - side * side))
        # the surface is at start + place·along + radius·(side·across + bulge·front)
        place = (u * t[0] + v * t[1] - radius * bulge * (front[:2] @ t)) / length
        depth = start[2] + place * along[2] + radius * bulge * front[2]
        normal = side[..., None] * across + bulge[..., None] * front
        self._put(window, (np.abs(side) < 1) & (place > 0) & (place < 1), depth, normal, colour)

    def pixels(self) -> Array:
        """[P, P, 4], red, green, blue and opacity, from the lowest row up; what is far is pale."""
        drawn = np.isfinite(self._depth)
        low, high = self._depth[drawn].min(), self._depth[drawn].max()
        mist = _MIST * np.where(drawn, (high - self._depth) / (high - low), 0.0)[..., None]
        return np.concatenate((self._colour * (1 - mist) + mist, drawn[..., None]), -1)

    def _window(self, low: Array, high: Array) -> tuple[tuple[slice, slice], Array, Array]:
        """The pixels between two corners, and their coordinates."""
        columns = slice(*np.searchsorted(self._axis, (low[0], high[0])))
        rows = slice(*np.searchsorted(self._axis, (low[1], high[1])))
        return (rows, columns), *np.meshgrid(self._axis[columns], self._axis[rows])

    def _put(
        self,
        window: tuple[slice, slice],
        inside: NDArray[np.bool_],
        depth: Array,
        normal: Array,
        colour: Array,
    ) -> None:
        shown = inside & (depth > self._depth[window])
        light = _AMBIENT + _DIFFUSE * np.clip(normal @ _LIGHT, 0, 1)
        gloss = _GLOSS * np.clip(normal @ _HALFWAY, 0, 1) ** 40
        shaded = np.clip(colour * light[..., None] + gloss[..., None], 0, 1)
        self._depth[window][shown] = depth[shown]
        self._colour[window][shown] = shaded[shown]
