"""The kernel of an optimizer's step on tensors of all types, strides and ages."""

import pytest
import torch
from fused_group import Group, assert_same, needs_compiler
from torch import Tensor

from dashpot.dynamics import CD, IKFAD, KFAD, LDHD, RIKFAD, Dynamics
from dashpot.integrators.kernels import threads
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused.rounding import key, to_bfloat16

pytestmark = needs_compiler


def test_maximize_and_scales_are_those_of_the_gradient() -> None:
    one, other = (Group(CD(0.3, 0.8), shapes=[(50,)]) for _ in range(2))
    grads = one.gradients()
    one.run(grads, 0.1, 0.0, maximize=True, inv_scale=torch.tensor(0.25))
    other.run([-0.25 * g for g in grads], 0.1, 0.0)
    assert_same(one.variables, other.variables)
    before = [p.clone() for p in one.params]
    one.run(grads, 0.1, 0.1, found_inf=torch.tensor(1.0))
    assert all(map(torch.equal, one.params, before))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_short_parameters_are_rounded_once_to_nearest(dtype: torch.dtype) -> None:
    """x + h p, where every value of the type is an x; torch rounds the expected values."""
    patterns = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(dtype).clone()
    group = Group(LDHD(0.0), shapes=[(2**16,)], weight_decay=0.0)
    for scale in (0.0, 0.01, 1e-7, 1.0):
        group.params = [patterns.clone()]
        group.state["p"] = [
            scale * patterns.float().nan_to_num(posinf=1, neginf=1) * torch.rand(2**16)
        ]
        expected = (patterns.float() + 0.5 * group.state["p"][0]).to(dtype)
        group.run([torch.zeros(2**16, dtype=dtype)], 0.5, 0.0)
        torch.testing.assert_close(group.params[0], expected, rtol=0, atol=0, equal_nan=True)


def test_state_in_bfloat16_is_rounded_by_the_bits_of_its_place() -> None:
    """As the float32 result of the same kernel, rounded by `to_bfloat16`."""
    short, full = (Group(IKFAD(0.3, 0.7, 0.9), shapes=[(300, 7), (40,)]) for _ in range(2))
    for name in full.state:
        full.state[name] = [t + 0.1 for t in full.state[name]]
        short.state[name] = [t.bfloat16() for t in full.state[name]]
        full.state[name] = [t.float() for t in short.state[name]]
    grads = full.gradients()
    full.run(grads, 0.1, 0.0)
    short.run(grads, 0.1, 0.0, seed=5, places=[3, 8], ticks=[11, 12])
    for stream, name in enumerate(full.state, start=1):
        for t, found, place, tick in zip(
            full.state[name], short.state[name], (3, 8), (11, 12), strict=True
        ):
            assert torch.equal(found, to_bfloat16(t, key(5, place, tick, stream)))
    assert_same({"x": full.params}, {"x": short.params})


def strided(t: Tensor) -> list[Tensor]:
    """The values of a matrix, lying otherwise: transposed, with holes, one of many."""
    holes = torch.zeros(2 * t.shape[0], 3 * t.shape[1], dtype=t.dtype)[::2, ::3]
    return [t.t().contiguous().t(), holes.copy_(t), torch.stack((t, t), -1)[..., 0]]


@pytest.mark.parametrize("dynamics", [CD(0.3, 0.8), RIKFAD(0.3, 0.7, 0.9)], ids=lambda d: d.name)
def test_strides_do_not_matter(dynamics: Dynamics) -> None:
    plain = Group(dynamics, shapes=[(9, 6)] * 3)
    other = Group(dynamics, shapes=[(9, 6)] * 3)
    other.params = [strided(p)[i] for i, p in enumerate(other.params)]
    other.state["p"][0] = strided(other.state["p"][0])[0]
    for last, h in ((0.0, 0.1), (0.1, 0.2)):
        grads = plain.gradients()
        plain.run(grads, h, last)
        other.run([strided(g)[i] for i, g in enumerate(grads)], h, last)
    assert_same(plain.variables, other.variables)
    images = Group(dynamics, shapes=[(4, 3, 5, 6)])
    turned = Group(dynamics, shapes=[(4, 3, 5, 6)])
    for tensors in turned.variables.values():
        tensors[:] = [t.contiguous(memory_format=torch.channels_last) for t in tensors]
    grads = images.gradients()
    images.run(grads, 0.1, 0.0)
    turned.run([grads[0].sum(0, keepdim=True).expand(4, 3, 5, 6) * 0 + grads[0]], 0.1, 0.0)
    assert_same(images.variables, turned.variables)


def test_a_gradient_of_one_number_is_read_as_it_is() -> None:
    group, plain = (Group(CD(0.3, 0.8), shapes=[(40, 30)]) for _ in range(2))
    group.run([torch.ones(()).expand(40, 30)], 0.1, 0.0)
    plain.run([torch.ones(40, 30)], 0.1, 0.0)
    assert_same(group.variables, plain.variables)


def test_a_new_parameter_among_old_ones_only_opens() -> None:
    shapes = [(30,), (4, 5), (17,)]
    whole = Group(CD(0.3, 0.8), "BCDWADCB", shapes)
    whole.run(whole.gradients(), 0.1, 0.0)
    parts = [Group(CD(0.3, 0.8), "BCDWADCB", [shape]) for shape in shapes]
    grads, last = whole.gradients(), [0.1, 0.0, 0.25]
    for i, part in enumerate(parts):
        for name, tensors in part.variables.items():
            tensors[0].copy_(whole.variables[name][i])
        part.run([grads[i]], 0.2, last[i])
    whole.run(grads, 0.2, last)
    for i, part in enumerate(parts):
        assert_same(part.variables, {n: [ts[i]] for n, ts in whole.variables.items()})


def test_new_parameters_cannot_share_the_friction_of_old_ones() -> None:
    group = Group(KFAD(0.3, 0.7, 9.0), "BCDWADCB", [(30,), (4, 5)])
    before = {name: [t.clone() for t in ts] for name, ts in group.variables.items()}
    with pytest.raises(NoKernelError, match="share a friction"):
        group.run(group.gradients(), 0.2, [0.1, 0.0])
    assert_same(group.variables, before)


@pytest.mark.parametrize(
    "dynamics", [CD(0.3, 0.8), KFAD(0.3, 0.7, 9e3), RIKFAD(0.3, 0.7, 0.9)], ids=str
)
def test_the_number_of_threads_changes_no_bit(
    dynamics: Dynamics, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "count", lambda work, least, count=count: count)
        group = Group(dynamics, shapes=[(300, 200), (5,), (50001,), (1, 9000), (0, 3)])
        group.run(group.gradients(), 0.1, 0.0)
        group.run(group.gradients(), 0.2, 0.1)
        groups.append(group.variables)
    assert_same(groups[0], groups[1])
    assert_same(groups[0], groups[2])


def test_memory_may_change_under_a_parameter() -> None:
    group, plain = (Group(CD(0.3, 0.8), shapes=[(40,)]) for _ in range(2))
    for last, h in ((0.0, 0.1), (0.1, 0.2)):
        grads = plain.gradients()
        plain.run(grads, h, last)
        group.params[0].data = group.params[0].data.clone()
        group.run(grads, h, last)
    assert_same(group.variables, plain.variables)
    group.params[0].data = group.params[0].data.double()
    group.run([grads[0].double()], 0.1, 0.2)  # another kernel
    assert group.params[0].dtype == torch.float64


def test_autograd_sees_that_a_parameter_was_written() -> None:
    group = Group(CD(0.3, 0.8), shapes=[(4,)])
    x = group.params[0].requires_grad_()
    loss = (x * x).sum()
    group.run(group.gradients(), 0.1, 0.0)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


@pytest.mark.parametrize("dynamics", [CD(0.3, 0.8), RIKFAD(0.3, 0.7, 0.9)], ids=lambda d: d.name)
def test_what_has_no_elements_stays_as_it_is(dynamics: Dynamics) -> None:
    """A mean over no columns is no number; rows that have none keep theirs."""
    group = Group(dynamics, shapes=[(2, 3, 0), (0, 4), (4, 0), (0,), (2, 3)])
    for tensors in group.state.values():
        for t in tensors:
            t.fill_(0.25)
    for last, h in ((0.0, 0.1), (0.1, 0.2)):
        group.run(group.gradients(), h, last)
    for tensors in group.state.values():
        assert all(torch.equal(t, torch.full_like(t, 0.25)) for t in tensors[:4])
        assert tensors[4].isfinite().all()
