import pytest
import torch

from dashpot.landscapes import Quadratic


def test_rotated_hessian_has_the_spectrum() -> None:
    bowl = Quadratic([1e-3, 1.0, 1e3], rotation=3)
    hessian = bowl.hessian(torch.zeros(3, dtype=torch.float64))
    assert bowl.rotation is not None
    expected = bowl.rotation @ torch.diag(bowl.spectrum) @ bowl.rotation.T
    torch.testing.assert_close(hessian, expected, rtol=0, atol=1e-12)
    assert (bowl.m, bowl.L) == (1e-3, 1e3)


def test_a_small_mode_keeps_its_precision_beside_a_large_one() -> None:
    # ½ 1e-8 along the soft eigenvector; forming H first would leave 1e8 · 1e-16 of error.
    bowl = Quadratic([1e-8, 1e8], rotation=5)
    assert bowl.rotation is not None
    assert bowl(bowl.rotation[:, 0]).item() == pytest.approx(0.5e-8, rel=1e-12)


def test_start_excites_every_mode_by_one_unit() -> None:
    for rotation in (None, 0):
        bowl = Quadratic([1.0, 4.0], rotation=rotation, centre=[3.0, -1.0])
        assert bowl(bowl.start).item() == pytest.approx(2.5, rel=1e-14)


def test_rotation_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    first = Quadratic([1.0, 2.0], rotation=4).rotation
    state = torch.get_rng_state()
    again = Quadratic([1.0, 2.0], rotation=4).rotation
    other = Quadratic([1.0, 2.0], rotation=5).rotation
    assert first is not None and again is not None and other is not None
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_given_rotation() -> None:
    swap = [[0.0, 1.0], [1.0, 0.0]]
    assert Quadratic([2.0, 6.0], rotation=swap)([1.0, 10.0]).item() == 100 + 3


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="spectrum must be >= 0; its least value is -1"):
        Quadratic([2.0, -1.0])
    with pytest.raises(ValueError, match="spectrum must be finite"):
        Quadratic([2.0, float("inf")])
    with pytest.raises(ValueError, match="list of eigenvalues"):
        Quadratic([[1.0], [2.0]])
    with pytest.raises(ValueError, match="must be orthogonal"):
        Quadratic([1.0, 2.0], rotation=[[1.0, 1.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"rotation must have shape \(2, 2\); got \(3, 3\)"):
        Quadratic([1.0, 2.0], rotation=torch.eye(3))
    with pytest.raises(TypeError, match="rotation"):
        Quadratic([1.0, 2.0], rotation=True)
    with pytest.raises(ValueError, match=r"centre must be a number or have shape \(2,\)"):
        Quadratic([1.0, 2.0], centre=[1.0, 2.0, 3.0])
