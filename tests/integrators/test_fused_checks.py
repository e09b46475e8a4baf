"""A kernel looks at nothing: what does not belong together is refused before it runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fused_group import Group, assert_same, needs_compiler
from torch import Tensor, nn

from dashpot.dynamics import CD, IKFAD, RIKFAD
from dashpot.integrators import optim
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused.layout import Layout
from dashpot.integrators.kernels.fused.triton_step import TritonStep

pytestmark = needs_compiler


def grown(group: Group, grads: list[Tensor]) -> None:
    group.params[1].data = torch.ones(50, 40)


def shrunk(group: Group, grads: list[Tensor]) -> None:
    group.params[1].data = group.params[1].data[:2]
    grads[1] = grads[1][:2]


def with_another_gradient(group: Group, grads: list[Tensor]) -> None:
    grads[1] = torch.ones(4, 5)


def with_one_gradient_for_all(group: Group, grads: list[Tensor]) -> None:
    grads[1] = torch.ones(())


def with_a_transposed_state(group: Group, grads: list[Tensor]) -> None:
    group.state["p"][1] = torch.zeros(4, 5)


def with_a_short_state(group: Group, grads: list[Tensor]) -> None:
    group.state["p"][1] = torch.zeros(3)


def with_a_state_that_shrank(group: Group, grads: list[Tensor]) -> None:
    group.state["p"][1].data = group.state["p"][1].data[:, :2]


SHAPES: list[Callable[[Group, list[Tensor]], None]] = [
    grown,
    shrunk,
    with_another_gradient,
    with_one_gradient_for_all,
    with_a_transposed_state,
    with_a_short_state,
    with_a_state_that_shrank,
]


@pytest.mark.parametrize("steps", [0, 1], ids=["at once", "after a step"])
@pytest.mark.parametrize("change", SHAPES, ids=lambda change: change.__name__)
def test_tensors_of_other_shapes_are_refused(
    change: Callable[[Group, list[Tensor]], None], steps: int
) -> None:
    group = Group(CD(0.3, 0.8), shapes=[(3,), (5, 4)])
    for _ in range(steps):
        group.run(group.gradients(), 0.1, 0.0)
    grads = group.gradients()
    change(group, grads)
    refused(group, grads, r"parameter 1 .*\(shape \(.*of shape \(.* is needed")


def refused(group: Group, grads: list[Tensor], match: str) -> None:
    before = {name: [t.clone() for t in ts] for name, ts in group.variables.items()}
    with pytest.raises(ValueError, match=match):
        group.run(grads, 0.1, 0.0)
    on_cuda = TritonStep(group.dynamics, group.closing, group.opening)
    with pytest.raises((ValueError, NoKernelError)) as error:
        on_cuda.run(group.params, grads, group.state, group.values, 0.1, [0.0, 0.0])
    assert "needed" not in match or error.type is ValueError
    assert_same(group.variables, before)


@pytest.mark.parametrize("steps", [0, 1], ids=["at once", "after a step"])
@pytest.mark.parametrize("name", ["x", "p", "xi", "g"])
def test_tensors_without_memory_are_refused(name: str, steps: int) -> None:
    group = Group(IKFAD(0.3, 0.7, 0.9), shapes=[(3,), (5, 4), (0,)])
    for _ in range(steps):
        group.run(group.gradients(), 0.1, 0.0)
    grads = group.gradients()
    freed = {**group.variables, "g": grads}[name][1]
    freed.untyped_storage().resize_(0)
    kept = {n: [t for t in ts if t is not freed] for n, ts in group.variables.items()}
    before = {n: [t.clone() for t in ts] for n, ts in kept.items()}
    with pytest.raises(ValueError, match=r"parameter 1 .*has no memory"):
        group.run(grads, 0.1, 0.0)
    assert_same(kept, before)


def test_a_parameter_may_be_turned_where_it_lies() -> None:
    """The same memory, the same shape, other strides."""
    group, plain = (Group(CD(0.3, 0.8), shapes=[(6, 6)]) for _ in range(2))
    for turn in (False, True, False):
        for one in (group, plain):
            if turn:
                one.params[0].data = one.params[0].data.t()
        plain.params[0].data = plain.params[0].data.contiguous()
        grads = plain.gradients()
        group.run(grads, 0.1, 0.0)
        plain.run(grads, 0.1, 0.0)
        assert_same(group.variables, plain.variables)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_gradients_without_strides_have_no_kernel() -> None:
    group = Group(CD(0.3, 0.8), shapes=[(6, 5)])
    group.run(group.gradients(), 0.1, 0.0)
    for sparse in (torch.eye(6, 5).to_sparse(), torch.eye(6, 5).to_sparse_csr()):
        with pytest.raises(NoKernelError, match="no kernel for"):
            group.run([sparse], 0.1, 0.0)


def made(shape: tuple[int, ...], **settings: Any) -> tuple[nn.Parameter, optim.CD]:
    param = nn.Parameter(torch.linspace(-1, 1, 120_000).reshape(shape))
    optimizer = optim.CD([param], lr=0.1, **settings)
    param.grad = torch.ones_like(param)
    optimizer.step()
    return param, optimizer


@pytest.mark.parametrize("settings", [{}, {"fused": True}], ids=str)
def test_an_optimizer_refuses_what_has_become_another_shape(settings: dict[str, Any]) -> None:
    param, optimizer = made((200, 600), **settings)
    optimizer.state[param]["p"] = torch.zeros(600, 200)
    before = param.detach().clone()
    with pytest.raises(ValueError, match=r"state 'p' of shape \(600, 200\)"):
        optimizer.step()
    assert torch.equal(param, before)
    param, optimizer = made((120_000,), **settings)
    param.data = torch.ones(3_600_000)
    param.grad = torch.ones_like(param)
    with pytest.raises(ValueError, match=r"state 'p' of shape \(120000,\)"):
        optimizer.step()


def test_a_real_gradient_of_a_complex_parameter_is_refused() -> None:
    param = nn.Parameter(torch.ones(3, dtype=torch.complex64))
    param.grad_dtype = None
    optimizer = optim.CD([param], lr=0.1, fused=True)
    param.grad = torch.ones(3)
    with pytest.raises(ValueError, match=r"a gradient of shape \(3,\) where \(3, 2\)"):
        optimizer.step()


def test_rows_that_lie_one_after_the_other_are_not_copied() -> None:
    """channels_last under RIKFAD: only the means of columns, one for each column, are turned."""
    shape = (64, 32, 3, 3)
    image, turned = (Group(RIKFAD(0.3, 0.7, 0.9), shapes=[shape]) for _ in range(2))
    for name in ("x", "p"):
        one = turned.variables[name]
        one[:] = [t.contiguous(memory_format=torch.channels_last) for t in one]
    for last, h in ((0.0, 0.1), (0.1, 0.2)):
        grads = image.gradients()
        image.run(grads, h, last)
        turned.run([grads[0].contiguous(memory_format=torch.channels_last)], h, last)
    for name, tensors in image.variables.items():  # sums are taken in another order
        torch.testing.assert_close(turned.variables[name], tensors, rtol=1e-6, atol=1e-6)
    layout = Layout({**turned.variables, "g": turned.params}, in_rows=True)
    columns = {name for name, ts in turned.state.items() if ts[0].shape == (1, *shape[1:])}
    assert columns and set(layout.copied) == columns
