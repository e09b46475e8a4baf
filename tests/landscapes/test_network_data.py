"""A network's data: one pair, as many targets as inputs wherever examples are told apart."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from dashpot.landscapes import Minibatch, Network

X, Y = torch.ones(41, 3).double(), torch.ones(41, 1).double()


def line() -> nn.Module:
    return nn.Linear(3, 1).double()


@pytest.mark.parametrize("data", [(X, Y), (X[:2],)], ids=["two arguments", "one tensor"])
def test_data_is_one_pair(data: Any) -> None:
    message = r"data is one pair \(inputs, targets\): Network\(module, loss, \(inputs, targets\)\)"
    with pytest.raises(TypeError, match=message):
        Network(line(), mse_loss, *data)


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_lengths_that_differ_are_named_where_they_matter() -> None:
    network = Network(line(), mse_loss, (X, Y[:10]))
    for use in (lambda: network.examples, lambda: Minibatch(network, 4)):
        with pytest.raises(ValueError, match=r"inputs \(41, 3\) and targets \(10, 1\) must have"):
            use()
    shapes = r"inputs \(41, 3\) and targets \(10, 1\): as many targets as inputs\?"
    for x in (network.start, network.start.expand(5, 4)):
        with pytest.raises(RuntimeError, match=shapes):
            network.gradient(x)
    # a classifier's loss checks the lengths itself, with a ValueError
    labels = Network(nn.Linear(3, 2).double(), cross_entropy, (X, torch.zeros(10).long()))
    with pytest.raises(ValueError, match="as many targets as inputs"):
        labels(labels.start)


def test_other_targets_are_the_losses_own_business() -> None:
    """Ten pairs of distances among the outputs, say: the whole loss needs no row per example."""

    def distances(output: Tensor, targets: Tensor) -> Tensor:
        return (torch.cdist(output[:4], output[4:8]).flatten()[: len(targets)] - targets).sum()

    inputs = torch.arange(24, dtype=torch.float64).reshape(8, 3)
    network = Network(line(), distances, (inputs, torch.zeros(10).double()))
    assert torch.isfinite(network.gradient(network.start)).all()


def test_a_module_that_vmap_does_not_allow_goes_point_by_point_all_the_same() -> None:
    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return output.square().mean() * float(output[0, 0] ** 2 + len(targets))

    network = Network(line(), loss, (X, Y[:10]))
    each = torch.stack([network(network.start), network(0 * network.start)])
    assert torch.equal(network(torch.stack([network.start, 0 * network.start])), each)
