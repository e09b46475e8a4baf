"""Landscapes that users make from a plain function."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from dashpot.landscapes import Landscape, Rosenbrock


def booth(x: Tensor) -> Tensor:
    """(x + 2y − 7)² + (2x + y − 5)²: minimum 0 at (1, 3), Hessian [[10, 8], [8, 10]]."""
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def test_a_plain_function() -> None:
    surface = Landscape(booth, 2, minimisers=[1.0, 3.0], minimum=0, m=2.0, L=18.0, source="folk")
    assert surface.name == "booth"
    assert (surface.shape, surface.dimension) == ((2,), 2)
    assert (surface.minimum, surface.m, surface.L, surface.source) == (0.0, 2.0, 18.0, "folk")
    assert surface.minimisers is not None
    assert surface.minimisers.tolist() == [[1.0, 3.0]]
    assert surface.start.tolist() == [0.0, 0.0]
    assert surface([[1.0, 3.0], [0.0, 0.0]]).tolist() == [0.0, 74.0]
    assert surface.gradient([0.0, 0.0]).tolist() == [-34.0, -38.0]
    assert surface.hessian([5.0, -5.0]).tolist() == [[10.0, 8.0], [8.0, 10.0]]
    assert surface.hvp([5.0, -5.0], [[1.0, 0.0], [1.0, 1.0]]).tolist() == [
        [10.0, 8.0],
        [18.0, 18.0],
    ]
    assert repr(surface) == "Landscape('booth', shape=(2,))"


def test_points_that_are_matrices() -> None:
    weights = torch.arange(6.0, dtype=torch.float64).reshape(3, 2)
    surface = Landscape(lambda x: (weights * x * x).sum(), (3, 2), name="bowl")
    x = torch.linspace(-2, 2, 120, dtype=torch.float64).reshape(4, 5, 3, 2)
    torch.testing.assert_close(surface(x), (weights * x * x).sum((-2, -1)))
    torch.testing.assert_close(surface.gradient(x), 2 * weights * x)
    torch.testing.assert_close(
        surface.df(x.permute(2, 3, 0, 1)), (2 * weights * x).permute(2, 3, 0, 1)
    )
    assert torch.equal(surface.hessian(x[0, 0]), torch.diag(2 * weights.flatten()))
    with pytest.raises(ValueError, match=r"points of shape \(..., 3, 2\); got \(2, 3\)"):
        surface(torch.zeros(2, 3))


def test_points_that_are_numbers() -> None:
    surface = Landscape(torch.cosh, ())
    assert surface.gradient([0.0, 1.0]).tolist() == pytest.approx([0.0, math.sinh(1)])
    assert surface.dimension == 1


def test_arrays_lists_and_integers_are_read_as_float64() -> None:
    surface = Landscape(booth, 2)
    assert surface([0.1, 0.2]).item() == surface(np.array([0.1, 0.2])).item()
    assert surface([0.1, 0.2]).dtype == torch.float64
    assert surface(torch.tensor([1, 3])).dtype == torch.float64
    assert surface(np.zeros((2, 2), dtype=np.float32)).dtype == torch.float32


def test_an_empty_batch() -> None:
    surface = Landscape(booth, 2)
    assert surface(torch.zeros(0, 2)).shape == (0,)
    assert surface.gradient(torch.zeros(3, 0, 2)).shape == (3, 0, 2)


def test_gradients_flow_through_an_explicit_descent() -> None:
    # One descent step on ½ k x² maps x to (1 − k h) x; ten steps have derivative (1 − k h)^10.
    surface = Landscape(lambda x: 1.5 * (x * x).sum(), 1)
    x = start = torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    for _ in range(10):
        x = x - 0.1 * surface.df(x)
    (slope,) = torch.autograd.grad(x.sum(), start)
    assert slope.tolist()[0] == pytest.approx([0.7**10] * 2, rel=1e-13)


def test_transforms() -> None:
    surface = Landscape(booth, 2)
    x = torch.tensor([[0.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    expected = torch.tensor([[-34.0, -38.0], [0.0, 0.0]], dtype=torch.float64)
    assert torch.equal(torch.func.vmap(surface.gradient)(x), expected)
    assert torch.equal(torch.func.vmap(torch.func.grad(surface))(x), expected)
    assert torch.equal(torch.func.grad(lambda y: surface(y).sum())(x), expected)


def test_copies() -> None:
    again = pickle.loads(pickle.dumps(Rosenbrock(3)))
    assert torch.equal(again(again.start), Rosenbrock(3)(again.start))
    assert copy.deepcopy(Landscape(booth, 2))([0.0, 0.0]).item() == 74.0


def test_a_subclass_may_bring_its_own_f() -> None:
    class Bowl(Landscape):
        def f(self, x: Tensor) -> Tensor:
            return (x * x).sum(0)

    assert Bowl(None, 3).gradient(torch.ones(2, 3)).tolist() == [[2.0] * 3] * 2
    assert Bowl(None, 3).name == "Bowl"


def test_functions_that_do_not_return_a_number() -> None:
    x = torch.zeros(5, 2)
    with pytest.raises(ValueError, match=r"0-dim tensor; got shape \(2,\) \(did you forget .sum"):
        Landscape(lambda x: x * x, 2)(x)
    with pytest.raises(TypeError, match="must return a 0-dim tensor; got float"):
        Landscape(lambda x: 1.0, 2)(x)  # pyright: ignore[reportArgumentType]


def test_functions_that_cannot_be_batched() -> None:
    surface = Landscape(lambda x: x.sum() if x[0] > 0 else -x.sum(), 2, name="branch")
    assert surface([1.0, 1.0]).item() == 2.0
    with pytest.raises(RuntimeError, match=r"'branch'.*vmap.*\n.*torch.where"):
        surface(torch.ones(5, 2))


def test_an_error_inside_f_is_shown_as_it_is() -> None:
    surface = Landscape(lambda x: x @ torch.zeros(3), 2)
    with pytest.raises(RuntimeError, match="size") as caught:
        surface(torch.ones(5, 2))
    assert "vmap" not in str(caught.value)


def test_functions_cut_off_from_x() -> None:
    with pytest.raises(ValueError, match="does not depend on x through torch operations"):
        Landscape(lambda x: x.detach().sum(), 2).gradient([0.0, 0.0])


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="f must be callable"):
        Landscape(3.0, 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="needs f"):
        Landscape(None, 2)
    with pytest.raises(ValueError, match="each size in shape must be an integer >= 1; got 0"):
        Landscape(booth, (2, 0))
    with pytest.raises(ValueError, match=r"start must have shape \(2,\); got \(3,\)"):
        Landscape(booth, 2, start=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"minimisers must have shape"):
        Landscape(booth, 2, minimisers=[[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"m = 3\.0 exceeds smoothness L = 2\.0"):
        Landscape(booth, 2, m=3, L=2)


def test_a_function_of_numpy_is_told_what_to_use() -> None:
    wave = Landscape(lambda x: torch.as_tensor(np.sin(x)).sum(), 1)
    with pytest.raises(TypeError, match=r"f of Landscape.*must use torch operations.*torch\.sin"):
        wave.gradient([1.0])
