"""What the picture of a cluster shows."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dashpot.analysis import draw_cluster
from dashpot.analysis.clusters.picture import view
from dashpot.analysis.clusters.scene import Scene
from dashpot.landscapes import Morse


def test_the_picture_shows_every_atom_in_front() -> None:
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    ax = draw_cluster(Morse(2), x, turn=np.eye(3))
    assert ax.get_title() == "Morse2 ρ=6    E = -1.000000"
    picture = np.asarray(ax.images[0].get_array())
    opaque = picture[..., 3] > 0
    # symmetric about both axes: balls at ±½ and the bond between
    assert abs(opaque.astype(int) - opaque[:, ::-1]).mean() < 0.005
    assert abs(opaque.astype(int) - opaque[::-1]).mean() < 0.005
    middle = picture.shape[0] // 2
    assert opaque[middle, middle]
    assert not opaque[0].any()
    # one behind the other: a single disc remains
    hidden = draw_cluster(Morse(2), x[:, [1, 2, 0]], turn=np.eye(3))
    disc = np.asarray(hidden.images[0].get_array())[..., 3] > 0
    extent = hidden.images[0].get_extent()
    area = disc.mean() * (extent[1] - extent[0]) ** 2
    assert area == pytest.approx(math.pi * 0.36**2, rel=0.01)
    plt.close("all")


def test_what_is_in_front_is_seen() -> None:
    red, blue = np.array([0.6, 0.0, 0.0]), np.array([0.0, 0.0, 0.6])
    front, back = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0])
    for order in ((0, 1), (1, 0)):
        scene = Scene(1.0)
        for k in order:
            scene.ball((front, back)[k], 0.5, (red, blue)[k])
        scene.stick(np.array([-0.9, 0.0, 0.0]), np.array([0.9, 0.0, 0.0]), 0.1, blue)
        picture = scene.pixels()
        middle, side = picture[350, 350], picture[350, 630]
        assert middle[0] > middle[2] + 0.3
        assert side[2] > side[0] + 0.1
        assert picture[350, 680, 3] == 0


def test_the_view_belongs_to_the_cluster() -> None:
    # However the cluster lies, it is seen near the direction in which it is thinnest: a flat one
    # from its face, a long one from its side, up to the tilt of √(0.24² + 0.20²) = 0.31.
    generator = np.random.default_rng(0)
    ring = np.array([[math.cos(k), math.sin(k), 0] for k in range(0, 12, 2)])
    rod = np.array([[0.0, 0, k] for k in range(-3, 4)])
    for shape, least, most in ((ring, 0.95, 1.01), (rod, 0.95, 1.01)):
        lying, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        x = shape @ lying.T
        turn = view(x - x.mean(0))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(turn) == pytest.approx(1)
        shown = (x - x.mean(0)) @ turn.T
        extent = np.linalg.norm(shown[:, :2], axis=1).max()
        assert least <= extent / np.linalg.norm(x - x.mean(0), axis=1).max() <= most


def test_the_picture_goes_where_it_should() -> None:
    _, axes = plt.subplots()
    assert draw_cluster(Morse(3), Morse(3).start, ax=axes, title="three") is axes
    assert axes.get_title() == "three"
    plt.close("all")
