"""Atomic clusters: energies, forces, symmetries, and the tables of their minima."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dashpot.landscapes import (
    Cluster,
    ClusterTables,
    Landscape,
    LennardJones,
    Morse,
    cluster_tables,
)

EPS = torch.finfo(torch.float64).eps
seeds = st.integers(0, 2**32 - 1)
CLUSTERS = [LennardJones(2), LennardJones(5), LennardJones(8), Morse(3), Morse(6, rho=3.0)]
CAMBRIDGE = {  # Cambridge Cluster Database, to its six decimals
    2: -1.0,
    3: -3.0,
    4: -6.0,
    5: -9.103852,
    6: -12.712062,
    7: -16.505384,
    13: -44.326801,
    38: -173.928427,
}


@pytest.fixture(params=CLUSTERS, ids=repr)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return request.param


@pytest.fixture(scope="module")
def tables() -> ClusterTables:
    folder = os.environ.get("DASHPOT_DATA")
    if not folder or not (Path(folder) / "clusters").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with clusters/")
    return cluster_tables(folder)


def scattered(cluster: Cluster, seed: int, *batch: int) -> Tensor:
    """Points whose atoms are far enough apart that roundings are not magnified by much."""
    count = math.prod(batch)
    x = 1.3 * cluster.random_start(count, seed)
    return x.reshape(*batch, cluster.n, 3)


def plain_energy(cluster: Cluster, x: Tensor) -> float:
    """The sum over pairs, one by one, on Python floats."""
    total = 0.0
    for i in range(cluster.n):
        for j in range(i):
            r = math.dist(x[i].tolist(), x[j].tolist())
            if isinstance(cluster, Morse):
                total += (1 - math.exp(cluster.rho * (1 - r))) ** 2 - 1
            else:
                total += 4 * (r**-12 - r**-6)
    return total


def rounding(cluster: Cluster, x: Tensor) -> float:
    """What f may be off by: n² terms, each to a few dozen roundings of the largest pair energy."""
    r = torch.pdist(x.reshape(-1, cluster.n, 3)[0]).min()
    largest = (
        cluster.pair(r * r).abs().item() + abs(cluster.pull(r * r).item()) * x.abs().max().item()
    )
    return 100 * cluster.n**2 * EPS * (1 + largest)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_energy_is_the_sum_over_pairs(seed: int) -> None:
    for cluster in CLUSTERS:
        x = scattered(cluster, seed, 1)[0]
        expected = plain_energy(cluster, x)
        assert cluster(x).item() == pytest.approx(expected, abs=rounding(cluster, x))
        assert cluster.atom_energies(x).sum().item() == pytest.approx(
            2 * expected, abs=2 * rounding(cluster, x)
        )


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_gradient_is_the_derivative_of_f(seed: int) -> None:
    for cluster in CLUSTERS:
        x = scattered(cluster, seed, 3)
        expected = Landscape.df(cluster, x.movedim(0, -1).contiguous()).movedim(-1, 0)
        size = 1 + expected.abs().max().item()
        torch.testing.assert_close(
            cluster.gradient(x), expected, rtol=0, atol=100 * cluster.n * EPS * size
        )


def test_gradient_of_a_pair() -> None:
    # V′(r) = −48 r⁻¹³ + 24 r⁻⁷ is −48 + 24 = −24 at r = 1: the atoms push each other apart.
    pair = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    assert LennardJones(2).gradient(pair).tolist() == [[0, 24, 0], [0, -24, 0]]
    assert LennardJones(2)(pair).item() == 0.0
    # V″ = 624 r⁻¹⁴ − 168 r⁻⁸ is (156 − 84)/2^{1/3} at the bottom, r⁶ = 2; Morse has 2ρ² at r = 1.
    for cluster, stiffness in ((LennardJones(2), 72 / 2 ** (1 / 3)), (Morse(2, rho=5.0), 50.0)):
        bottom = pair * cluster.bond
        assert cluster(bottom).item() == pytest.approx(-1, rel=1e-14)
        # along the bond the two atoms together have twice the stiffness
        assert torch.linalg.eigvalsh(cluster.hessian(bottom))[-1].item() == pytest.approx(
            2 * stiffness, rel=1e-12
        )


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_rigid_motions_reflections_and_permutations(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for cluster in CLUSTERS:
        x = scattered(cluster, seed, 1)[0]
        motion, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
        shift = torch.randn(3, dtype=torch.float64, generator=generator)
        order = torch.randperm(cluster.n, generator=generator)
        moved = (x @ motion.T + shift)[order]
        assert cluster(moved).item() == pytest.approx(
            cluster(x).item(), abs=2 * rounding(cluster, moved)
        )
        turned = (cluster.gradient(x) @ motion.T)[order]
        size = 1 + turned.abs().max().item()
        torch.testing.assert_close(
            cluster.gradient(moved), turned, rtol=0, atol=1000 * cluster.n * EPS * size
        )


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_forces_and_torques_sum_to_zero(seed: int) -> None:
    for cluster in CLUSTERS:
        x = scattered(cluster, seed, 1)[0]
        force = cluster.gradient(x)
        allowed = 100 * cluster.n * EPS * (1 + force.abs().max().item())
        assert force.sum(0).abs().max().item() <= allowed
        torque = torch.linalg.cross(x, force).sum(0)
        assert torque.abs().max().item() <= allowed * (1 + x.abs().max().item())


def test_hessian_vanishes_along_rigid_motions(cluster: Cluster) -> None:
    x = scattered(cluster, 4, 1)[0]
    shift = (
        torch.ones(cluster.n, 1, dtype=torch.float64) @ torch.tensor([[1.0, -2.0, 0.5]]).double()
    )
    size = cluster.hessian(x).abs().max().item()
    assert cluster.hvp(x, shift).abs().max().item() <= 1e-12 * size


def test_derivatives_of_df(cluster: Cluster) -> None:
    # Differences over ±1e-6 are good to their rounding, 1e-10 of the largest force, some 1e3 here.
    x = scattered(cluster, 3, 2).movedim(0, -1).contiguous().requires_grad_()
    assert torch.autograd.gradcheck(cluster.df, x, atol=1e-5, rtol=1e-6)
    assert not cluster.df(x.detach()).requires_grad


def test_batches_equal_single_points(cluster: Cluster) -> None:
    x = scattered(cluster, 1, 2, 3)
    values, gradients = cluster(x), cluster.gradient(x)
    assert values.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            size = 1 + gradients[i, j].abs().max().item()
            assert values[i, j].item() == pytest.approx(
                cluster(x[i, j]).item(), abs=rounding(cluster, x[i, j])
            )
            torch.testing.assert_close(
                gradients[i, j], cluster.gradient(x[i, j]), rtol=0, atol=1e-13 * size
            )
    assert cluster(x[:0]).shape == (0, 3)
    assert cluster.gradient(x[:0]).shape == (0, 3, cluster.n, 3)
    torch.testing.assert_close(torch.func.vmap(cluster.gradient)(x[0]), gradients[0])
    assert cluster.gradient(x.float()).dtype == torch.float32


def test_large_batches_are_the_same_piece_by_piece() -> None:
    cluster = LennardJones(40)
    x = scattered(cluster, 0, 100)
    whole = cluster.gradient(x)
    parts = torch.cat([cluster.gradient(x[k : k + 1]) for k in range(100)])
    torch.testing.assert_close(whole, parts, rtol=1e-11, atol=1e-11 * whole.abs().max().item())


def test_overlapping_atoms_stay_finite(cluster: Cluster) -> None:
    for dtype in (torch.float64, torch.float32):
        for distance in (0.0, 1e-30, 1e-12, 1e-3):
            x = scattered(cluster, 2, 1)[0].to(dtype)
            x[1] = x[0] + distance
            assert torch.isfinite(cluster(x)), distance
            assert torch.isfinite(cluster.gradient(x)).all(), distance
    assert cluster.gradient(torch.zeros(cluster.n, 3)).abs().max().item() == 0
    far = 1e200 * scattered(cluster, 2, 1)[0]
    assert cluster(far).item() == 0
    assert cluster.gradient(far).abs().max().item() == 0


def test_known_minima() -> None:
    for n, energy in CAMBRIDGE.items():
        known = LennardJones(n).minimum
        assert known is not None
        assert abs(known - energy) <= 5e-7
    assert LennardJones(8).minimum is None
    assert LennardJones(8, minimum=-19.821489).minimum == -19.821489
    assert Morse(4).minimum is None
    # all four atoms of a tetrahedron touch: six bonds
    corners = [[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    for cluster in (LennardJones(4), Morse(4)):
        x = torch.tensor(corners, dtype=torch.float64) * cluster.bond / math.sqrt(8)
        assert cluster(x).item() == pytest.approx(-6, rel=1e-13)
        assert cluster.gradient(x).abs().max().item() < 1e-12


def test_random_starts() -> None:
    cluster = LennardJones(20)
    x = cluster.random_start(50, seed=3)
    assert x.shape == (50, 20, 3)
    assert torch.equal(cluster.random_start(7, seed=3), x[:7])
    assert not torch.equal(cluster.random_start(7, seed=4), x[:7])
    assert torch.equal(cluster.start, cluster.random_start(1, seed=0)[0])
    # the ball of close-packed atoms: n bond³/√2 = 4/3 π R³
    assert 4 / 3 * math.pi * cluster.radius**3 == pytest.approx(20 * 2**0.5 / 2**0.5)
    assert x.norm(dim=-1).max().item() <= cluster.radius
    # A mean of 20·50 numbers of variance R²/5 in each coordinate, independent or repelling.
    assert x.mean((0, 1)).abs().max().item() < 5 * cluster.radius / math.sqrt(5 * 1000)
    assert min(torch.pdist(one).min().item() for one in x) > 0.3


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="n of LennardJones must be an integer >= 2; got 1"):
        LennardJones(1)
    with pytest.raises(TypeError, match="n of Morse must be an integer"):
        Morse(2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="rho of Morse must be a finite number > 0"):
        Morse(3, rho=0.0)
    with pytest.raises(ValueError, match=r"takes points of shape \(..., 3, 3\); got \(3, 2\)"):
        Morse(3)(torch.zeros(3, 2))


# The tables.


def test_the_table_of_minima(tables: ClusterTables) -> None:
    for n, energy in CAMBRIDGE.items():
        assert tables.lennard_jones[n] == energy
    assert set(tables.lennard_jones) == set(range(2, 151))
    assert set(tables.geometries) == set(range(3, 151))
    assert set(tables.morse[6.0]) == set(range(2, 81))


def test_every_geometry_has_the_energy_of_the_table(tables: ClusterTables) -> None:
    # The table is rounded to six decimals, and coordinates to about as many: a point that is off
    # by δ costs ½ δᵀHδ, here less than 1e-6, and never gains.
    for n, x in tables.geometries.items():
        off = LennardJones(n)(x).item() - tables.lennard_jones[n]
        assert -5.1e-7 <= off <= 1.5e-6, n


def write(folder: Path, energies: str, **arrays: np.ndarray) -> Path:
    (folder / "clusters").mkdir(parents=True)
    (folder / "clusters/energies.json").write_text(energies)
    np.savez(folder / "clusters/lj003_150_sigma_units.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return folder


GOOD = json.dumps({"lj_epsilon": {"2": -1}, "morse_rho14": {"3": -3.0}})


def test_tables_are_read(tmp_path: Path) -> None:
    made = cluster_tables(write(tmp_path, GOOD, LJ004=np.ones((4, 3))))
    assert made.lennard_jones == {2: -1.0}
    assert made.morse == {14.0: {3: -3.0}}
    assert made.geometries[4].shape == (4, 3)


def test_missing_and_damaged_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"energies\.json is missing; data_dir must be"):
        cluster_tables(tmp_path)
    for k, bad in enumerate(("{", "[1]", '{"lj_epsilon": {"two": -1}}', '{"other": {}}')):
        folder = write(tmp_path / f"energies{k}", bad, LJ003=np.ones((3, 3)))
        with pytest.raises(ValueError, match=r"energies\.json is not a table of cluster energies"):
            cluster_tables(folder)
    damages = (
        {"LJ003": np.ones((4, 3))},
        {"LJ003": np.full((3, 3), np.nan)},
        {"water": np.ones((3, 3))},
        {"LJ003": np.array([[None] * 3] * 3)},
    )
    for k, arrays in enumerate(damages):
        folder = write(tmp_path / f"geometries{k}", GOOD, **arrays)
        with pytest.raises(ValueError, match="is not a file of cluster geometries"):
            cluster_tables(folder)
    folder = write(tmp_path / "cut", GOOD, LJ003=np.ones((3, 3)))
    file = folder / "clusters/lj003_150_sigma_units.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="is not a file of cluster geometries"):
        cluster_tables(folder)
