import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from dashpot.landscapes import Network


def small(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)


def data(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(20, 3, dtype=dtype, generator=generator)
    return inputs, (inputs.sum(1) > 0).long()


def test_value_and_gradient_are_those_of_plain_training() -> None:
    module, (inputs, targets) = small(dtype=torch.float64), data(torch.float64)
    landscape = Network(module, cross_entropy, (inputs, targets))
    assert landscape.shape == (3 * 4 + 4 + 4 * 2 + 2,)
    loss = cross_entropy(module(inputs), targets)
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    assert landscape(landscape.start).item() == pytest.approx(loss.item(), rel=1e-14)
    gradient = landscape.gradient(landscape.start)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-16 * 20)
    batch = torch.stack((landscape.start, 0 * landscape.start))
    torch.testing.assert_close(landscape.gradient(batch)[0], expected, rtol=0, atol=1e-16 * 20)


def test_zero_weights_cannot_tell_classes_apart() -> None:
    landscape = Network(small(), cross_entropy, data())
    assert landscape(torch.zeros(26).double()).item() == pytest.approx(
        torch.tensor(2.0).double().log().item(), rel=1e-15
    )
    assert landscape.minimum is None


def test_vectors_and_parameters_go_back_and_forth() -> None:
    module = small()
    landscape = Network(module, cross_entropy, data())
    vector = landscape.flatten(module)
    assert torch.equal(vector.double(), landscape.start)
    named = landscape.unflatten(vector)
    assert list(named) == [name for name, _ in module.named_parameters()]
    for name, parameter in module.named_parameters():
        assert torch.equal(named[name], parameter)
    assert torch.equal(landscape.flatten(named), vector)
    assert torch.equal(landscape.flatten(named.items()), vector)
    many = torch.arange(260.0).reshape(2, 5, 26)
    assert landscape.unflatten(many)["0.weight"].shape == (2, 5, 4, 3)
    assert torch.equal(landscape.flatten(landscape.unflatten(many)), many)

    other = small()
    landscape.load_into(other, 2 * vector)
    assert torch.equal(landscape.flatten(other), 2 * vector)


def test_gradients_flow_through_named_parameters() -> None:
    landscape = Network(small(), cross_entropy, data())
    vector = landscape.start.clone().requires_grad_()
    (slope,) = torch.autograd.grad(landscape.flatten(landscape.unflatten(vector)).sum(), vector)
    assert torch.equal(slope, torch.ones(26).double())


def test_the_module_and_the_landscape_do_not_disturb_each_other() -> None:
    module = small().train()
    before = copy.deepcopy(module.state_dict())
    landscape = Network(module, cross_entropy, data())
    value = landscape(landscape.start)
    landscape.gradient(landscape.start)
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(module.state_dict()[key], before[key]) for key in before)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(3.0)
    assert torch.equal(landscape(landscape.start), value)
    assert not torch.equal(landscape.flatten(module).double(), landscape.start)


def test_batches_types_and_devices() -> None:
    landscape = Network(small(), cross_entropy, data())
    generator = torch.Generator().manual_seed(2)
    x = landscape.start + 0.1 * torch.randn(2, 3, 26, generator=generator).double()
    values = landscape(x)
    assert values.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert landscape(x[i, j]).item() == pytest.approx(values[i, j].item(), rel=1e-14)
    single = landscape(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), values, rtol=0, atol=1e-6)
    assert landscape.gradient(x.to("meta")).device.type == "meta"
    torch.testing.assert_close(torch.func.vmap(landscape)(x[0]), values[0], rtol=1e-14, atol=0)


def test_second_derivatives() -> None:
    landscape = Network(small(), cross_entropy, data())
    x = landscape.start
    expected = torch.func.jacrev(torch.func.jacrev(landscape.f))(x)
    torch.testing.assert_close(landscape.hessian(x), expected, rtol=0, atol=1e-14)
    assert torch.autograd.gradcheck(landscape.df, x.clone().requires_grad_())


class Scaled(nn.Module):
    """Has a buffer, a weight used twice, and a branch that vmap cannot follow."""

    def __init__(self, branch: bool) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.tensor(3.0))
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        if self.branch and y.sum() > 1e9:
            return y
        return self.get_buffer("scale") * y


@pytest.mark.parametrize("branch", [False, True])
def test_buffers_shared_weights_and_modules_without_vmap(branch: bool) -> None:
    inputs, targets = torch.eye(2), torch.zeros(2, 2)
    landscape = Network(Scaled(branch), mse_loss, (inputs, targets))
    assert landscape.dimension == 4
    # The output is 3 a² times the identity when W = a·1; two of four entries count in the mean.
    a = torch.tensor([1.0, 2.0, -1.5], dtype=torch.float64)
    x = a[:, None] * torch.eye(2, dtype=torch.float64).flatten()
    torch.testing.assert_close(landscape(x), (3 * a**2) ** 2 / 2)
    # d/da of 9 a⁴ / 2 is 18 a³, half of it from each diagonal entry.
    expected = 9 * a[:, None] ** 3 * torch.eye(2, dtype=torch.float64).flatten()
    torch.testing.assert_close(landscape.gradient(x), expected)
    assert landscape(x.reshape(3, 1, 4)).shape == (3, 1)
    assert landscape(x[:0]).shape == (0,)


def test_dropout_is_off_and_statistics_are_stored() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    landscape = Network(module, cross_entropy, data())
    x = torch.stack((landscape.start,) * 2)
    values = landscape(x)
    assert torch.equal(landscape(x), values)
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-14)
    inputs, targets = data()
    expected = cross_entropy(module.eval()(inputs), targets)
    assert values[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_wrong_arguments() -> None:
    landscape = Network(small(), cross_entropy, data())
    assert repr(landscape) == "Network(Sequential, dimension=26)"
    with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module; got function"):
        Network(cross_entropy, cross_entropy, data())  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="pair of tensors"):
        Network(small(), cross_entropy, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="targets must be a tensor; got list"):
        Network(small(), cross_entropy, (torch.zeros(1, 3), [0]))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="Tanh has no parameters"):
        Network(nn.Tanh(), cross_entropy, data())
    with pytest.raises(ValueError, match=r"vector must have shape \(..., 26\); got \(25,\)"):
        landscape.unflatten(torch.zeros(25))
    with pytest.raises(ValueError, match=r"missing \['2.bias', '2.weight'\], unknown \[\]"):
        landscape.flatten(small()[:1])
    with pytest.raises(ValueError, match=r"'0.weight' must have shape \(4, 3\); got \(4, 5\)"):
        landscape.flatten(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)))
    with pytest.raises(ValueError, match=r"vector must have shape \(26,\); got \(1, 26\)"):
        landscape.load_into(small(), torch.zeros(1, 26))
    with pytest.raises(ValueError, match=r"0-dim tensor; got shape \(20,\)"):
        Network(small(), lambda a, b: cross_entropy(a, b, reduction="none"), data())([0.0] * 26)
