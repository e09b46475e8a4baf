import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from dashpot.integrators.field import SampledField
from dashpot.landscapes import GaussianMinibatch, Minibatch, Network, Quadratic


def network(examples: int = 4, seed: int = 0) -> Network:
    """Two classes, 3 – 2 – 2 with tanh: 14 parameters, every example with a gradient of its own."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(examples, 3, dtype=torch.float64, generator=generator)
    targets = torch.arange(examples) % 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    return Network(module, cross_entropy, (inputs, targets))


def gradients_of_examples(landscape: Network, x: Tensor) -> Tensor:
    """[examples, dimension], each by a network of one example."""
    inputs, targets = landscape._inputs.value, landscape._targets.value
    module = landscape._module
    alone = (
        Network(module, landscape._loss, (inputs[i : i + 1], targets[i : i + 1]))
        for i in range(len(inputs))
    )
    return torch.stack([one.gradient(x) for one in alone])


def covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def test_gradients_of_single_examples() -> None:
    landscape = network()
    x = landscape.start + 0.3
    expected = gradients_of_examples(landscape, x)
    assert landscape.examples == 4
    found = landscape.per_example_gradients(x, torch.tensor([2, 0, 2]))
    torch.testing.assert_close(found, expected[[2, 0, 2]], rtol=1e-13, atol=1e-15)
    whole = landscape.per_example_gradients(x, torch.arange(4)).mean(0)
    torch.testing.assert_close(whole, landscape.gradient(x), rtol=1e-13, atol=1e-15)
    losses = landscape.example_losses(x)
    assert losses.mean().item() == pytest.approx(landscape(x).item(), rel=1e-14)
    pair = torch.tensor([1, 3])
    assert landscape.loss_of(x, pair).item() == pytest.approx(losses[pair].mean().item(), rel=1e-14)


def test_all_minibatches_together_have_the_gradient_and_the_covariance() -> None:
    inner = network(examples=3)
    landscape = Minibatch(inner, 2)
    assert landscape.uniforms == 2 and isinstance(landscape, SampledField)
    x = inner.start - 0.2
    draws = torch.tensor(list(itertools.product(range(3), repeat=2)), dtype=torch.float64)
    u = ((draws + 0.5) / 3).T  # [2, 9]: every ordered pair of examples once
    found = landscape.df_sampled(x[:, None].expand(-1, 9), u)
    torch.testing.assert_close(found.mean(1), inner.df(x), rtol=1e-13, atol=1e-15)
    one = covariance(gradients_of_examples(inner, x))
    torch.testing.assert_close(covariance(found.T), one / 2, rtol=1e-12, atol=1e-16)


def test_the_ends_of_the_unit_interval_are_examples() -> None:
    inner = network(examples=3)
    landscape = Minibatch(inner, 1)
    x = inner.start
    own = inner.per_example_gradients(x, torch.arange(3))
    for u, index in ((0.0, 0), (1 / 3 - 1e-9, 0), (1 / 3 + 1e-9, 1), (1 - 2.0**-53, 2)):
        found = landscape.df_sampled(x, torch.tensor([u], dtype=torch.float64))
        assert torch.equal(found, own[index])


def test_the_gaussian_gradient_is_affine_in_its_normal_numbers() -> None:
    inner = network()
    landscape = GaussianMinibatch(inner, 8, refinement=3)
    n, x = inner.examples, inner.start + 0.1
    assert landscape.uniforms == n
    z = torch.cat((torch.zeros(n, 1), torch.eye(n)), 1).double()
    u = torch.special.ndtr(z)  # u = ½ is z = 0
    found = landscape.df_sampled(x[:, None].expand(-1, n + 1), u)
    torch.testing.assert_close(found[:, 0], inner.df(x), rtol=1e-13, atol=1e-15)
    columns = found[:, 1:] - found[:, :1]  # the factor of the covariance, column by column
    one = covariance(gradients_of_examples(inner, x))
    # Σ's entries are differences of numbers near 1e-2; ndtr and its inverse round to 1e-16
    torch.testing.assert_close(columns @ columns.T, 3 / 8 * one, rtol=1e-9, atol=1e-14)
    ends = torch.tensor([[0.0, 1 - 2.0**-53]] * n, dtype=torch.float64)
    assert bool(torch.isfinite(landscape.df_sampled(x[:, None].expand(-1, 2), ends)).all())


@pytest.mark.parametrize("kind", [Minibatch, GaussianMinibatch])
def test_each_trajectory_has_its_own_batch(kind: type[Minibatch]) -> None:
    inner = network(examples=7)
    landscape = kind(inner, 3)
    generator = torch.Generator().manual_seed(1)
    x = inner.start[:, None, None] + torch.randn(14, 2, 3, generator=generator).double()
    u = torch.rand(landscape.uniforms, 2, 3, dtype=torch.float64, generator=generator)
    together = landscape.df_sampled(x, u)
    assert together.shape == x.shape
    for i in range(2):
        for j in range(3):
            alone = landscape.df_sampled(x[:, i, j], u[:, i, j])
            torch.testing.assert_close(together[:, i, j], alone, rtol=1e-12, atol=1e-15)
    single = landscape.df_sampled(x.float(), u)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, rtol=0, atol=1e-5)
    # everything else is the whole network's
    assert torch.equal(landscape.f(x), inner.f(x)) and torch.equal(landscape.df(x), inner.df(x))
    assert torch.equal(landscape.start, inner.start) and landscape.minimum is None


class Branching(nn.Module):
    """vmap cannot follow its branch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        return y if y.sum() < 1e9 else 2 * y


@pytest.mark.parametrize("kind", [Minibatch, GaussianMinibatch])
def test_modules_without_vmap_go_one_by_one(kind: type[Minibatch]) -> None:
    inputs = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([0, 1, 0, 1, 1])
    branching = Branching().double()
    slow = kind(Network(branching, cross_entropy, (inputs, targets)), 2)
    fast = kind(Network(branching.inner, cross_entropy, (inputs, targets)), 2)
    u = torch.rand(
        slow.uniforms, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    x = slow.start[:, None].expand(-1, 4)
    torch.testing.assert_close(slow.df_sampled(x, u), fast.df_sampled(x, u), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", [Minibatch, GaussianMinibatch])
def test_losses_without_vmap_go_one_by_one(kind: type[Minibatch]) -> None:
    def branching(output: Tensor, targets: Tensor) -> Tensor:
        loss = cross_entropy(output, targets)
        return loss if loss < 1e9 else 2 * loss

    fast = network(examples=5)
    slow = Network(fast._module, branching, (fast._inputs.value, fast._targets.value))
    generator = torch.Generator().manual_seed(4)
    u = torch.rand(kind(fast, 2).uniforms, 3, dtype=torch.float64, generator=generator)
    x = fast.start[:, None].expand(-1, 3)
    found, expected = (kind(one, 2).df_sampled(x, u) for one in (slow, fast))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    own = slow.per_example_gradients(slow.start, torch.arange(5))
    expected = fast.per_example_gradients(slow.start, torch.arange(5))
    torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-15)


def weighted(output: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(output, targets, weight=torch.tensor([1.0, 3.0]).to(output))


def test_losses_that_are_no_mean_are_refused() -> None:
    inner = network()
    data = inner._inputs.value, inner._targets.value

    def summed(output: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(output, targets, reduction="sum")

    for loss in (summed, weighted):
        other = Network(inner._module, loss, data)
        with pytest.raises(ValueError, match=r'mean of the losses of its examples.*"mean"'):
            Minibatch(other, 2)


class Centred(nn.Module):
    """Its output for one example depends on the others, but the mean loss hides it."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x.flip(0)


def test_examples_that_see_each_other_are_refused() -> None:
    def mean_of_output(output: Tensor, targets: Tensor) -> Tensor:
        return output.mean()

    data = torch.arange(3.0).double()[:, None], torch.zeros(3, 1).double()
    with pytest.raises(ValueError, match="depends on the other examples"):
        Minibatch(Network(Centred(), mean_of_output, data), 2)


def test_wrong_arguments() -> None:
    inner = network()
    with pytest.raises(TypeError, match="Minibatch takes a Network first; got Quadratic"):
        Minibatch(Quadratic(1.0), 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1; got 0"):
        Minibatch(inner, 0)
    with pytest.raises(TypeError, match=r"batch_size must be an integer >= 1; got 2\.5"):
        Minibatch(inner, 2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="refinement must be an integer >= 1; got 0"):
        GaussianMinibatch(inner, 2, 0)
    landscape = Minibatch(inner, 2)
    assert repr(landscape) == "Minibatch(Network(Sequential, dimension=14), 2)"
    with pytest.raises(ValueError, match=r"u must have shape \(2, 5\); got \(2,\)"):
        landscape.df_sampled(inner.start[:, None].expand(-1, 5), torch.zeros(2).double())
    with pytest.raises(ValueError, match=r"x must be one point \(14,\); got \(14, 1\)"):
        inner.per_example_gradients(inner.start[:, None], torch.arange(2))
    uneven = Network(
        nn.Linear(2, 1), lambda a, b: mse_loss(a[0], b[0]), (torch.ones(3, 2), torch.ones(2, 1))
    )
    with pytest.raises(ValueError, match=r"inputs \(3, 2\) and targets \(2, 1\) must"):
        Minibatch(uneven, 1)
