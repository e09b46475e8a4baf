import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from dashpot.landscapes import Digits, Network, classifier, digits


@pytest.fixture(scope="module")
def data() -> Digits:
    return digits()


def test_sizes_types_and_range(data: Digits) -> None:
    assert [len(s.targets) for s in (data.train, data.validation, data.test)] == [1000, 350, 447]
    for inputs, targets in (data.train, data.validation, data.test):
        assert inputs.shape == (len(targets), 64)
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert (inputs.min(), inputs.max()) == (0, 1)


def test_every_sample_is_used_once(data: Digits) -> None:
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    sets = (data.train, data.validation, data.test)
    rows = torch.cat([torch.cat((16 * s.inputs, s.targets[:, None]), 1) for s in sets])
    expected = torch.cat((torch.tensor(pixels), torch.tensor(classes)[:, None]), 1)
    assert sorted(rows.tolist()) == sorted(expected.tolist())


def test_every_digit_has_its_share(data: Digits) -> None:
    counts = [torch.bincount(s.targets) for s in (data.train, data.validation, data.test)]
    whole = sum(counts) / 1797
    for count in counts:
        assert (count - whole * count.sum()).abs().max().item() <= 1


def test_seeds(data: Digits) -> None:
    state = torch.get_rng_state()
    assert torch.equal(digits(0).test.inputs, data.test.inputs)
    assert not torch.equal(digits(1).test.inputs, data.test.inputs)
    a, b, c = classifier(seed=0), classifier(seed=0), classifier(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for one, same, other in zip(a.parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_classifier() -> None:
    sizes = [tuple(p.shape) for p in classifier(hidden=20).parameters()]
    assert sizes == [(20, 64), (20,), (10, 20), (10,)]
    weight = next(classifier(hidden=1000).parameters())
    # Uniform in ±1/8: the standard deviation is 1/(8 √3), known to 1/√(2.5 · 64000) here.
    assert weight.abs().max().item() <= 1 / 8
    assert weight.std().item() == pytest.approx(1 / (8 * math.sqrt(3)), rel=0.01)
    with pytest.raises(ValueError, match="hidden of classifier must be an integer >= 1"):
        classifier(hidden=0)


def test_a_network_over_digits(data: Digits) -> None:
    landscape = Network(classifier(), cross_entropy, data.train)
    assert landscape.dimension == 64 * 64 + 64 + 64 * 10 + 10
    x = landscape.start
    # A fresh classifier guesses: its loss is near log 10, and a small step downhill lowers it by
    # h |∇f|² to first order.
    assert landscape(x).item() == pytest.approx(math.log(10), abs=0.1)
    gradient = landscape.gradient(x)
    drop = landscape(x) - landscape(x - 1e-4 * gradient)
    assert drop.item() == pytest.approx(1e-4 * (gradient @ gradient).item(), rel=1e-3)
