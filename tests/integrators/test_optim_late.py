"""Parameters whose gradient is missing, late or sparse."""

import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, parameter

from dashpot.dynamics import CADAM, CD, IKFAD, LDHD, Dynamics
from dashpot.integrators import optim
from dashpot.integrators.optim import WordOptimizer

landscape = CoupledQuartic()
PER_COORDINATE: list[tuple[Dynamics, str]] = [
    (LDHD(0.4), "BDADB"),
    (CD(0.3, 0.8), "BACD"),
    (CD(0.3, 0.8), "BCDADCB"),
    (CD(0.3, 0.8), "ADCBCDA"),
    (IKFAD(0.3, 0.7, 0.9), "ADCBCDA"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "EBCDADCBE"),
    (CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True), "BETACD"),
]


def give(*params: torch.Tensor) -> None:
    for param in params:
        param.grad = landscape.df(param.detach())


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_a_parameter_without_gradient_is_not_touched(dynamics: Dynamics) -> None:
    used, idle = parameter([1.0, -0.6]), parameter([0.4, 0.9])
    optimizer = WordOptimizer(dynamics, [used, idle], lr=0.1, weight_decay=0.3)
    for _ in range(3):
        give(used)
        optimizer.step()
    assert torch.equal(idle, parameter([0.4, 0.9]))
    assert idle not in optimizer.state
    assert not torch.equal(used, parameter([1.0, -0.6]))


def test_a_step_without_any_gradient_does_nothing() -> None:
    param = parameter([1.0, -0.6])
    optimizer = optim.CD([param], lr=0.1)
    assert optimizer.step() is None
    assert torch.equal(param, parameter([1.0, -0.6]))


@pytest.mark.parametrize(("dynamics", "word"), PER_COORDINATE, ids=str)
@pytest.mark.parametrize("late_first", [False, True])
def test_a_late_parameter_moves_as_if_its_optimizer_had_started_then(
    dynamics: Dynamics, word: str, late_first: bool
) -> None:
    early, late = parameter([1.0, -0.6]), parameter([0.4, 0.9])
    early2, late2 = parameter([1.0, -0.6]), parameter([0.4, 0.9])
    order = [late, early] if late_first else [early, late]
    together = WordOptimizer(dynamics, order, lr=0.1, word=word)
    first = WordOptimizer(dynamics, [early2], lr=0.1, word=word)
    second = WordOptimizer(dynamics, [late2], lr=0.1, word=word)
    for n in range(8):
        give(early, early2)
        if n >= 3:
            give(late, late2)
            second.step()
        together.step()
        first.step()
    torch.testing.assert_close(early, early2, rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(late, late2, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("dynamics", "word"), PER_COORDINATE, ids=str)
def test_a_parameter_that_pauses_stands_still_and_goes_on(dynamics: Dynamics, word: str) -> None:
    steady, pausing, twin = parameter([1.0, -0.6]), parameter([0.4, 0.9]), parameter([0.4, 0.9])
    optimizer = WordOptimizer(dynamics, [steady, pausing], lr=0.1, word=word)
    alone = WordOptimizer(dynamics, [twin], lr=0.1, word=word)
    for n in range(9):
        give(steady)
        pausing.grad = None
        if n % 3:
            give(pausing, twin)
            alone.step()
        optimizer.step()
    torch.testing.assert_close(pausing, twin, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("word", ["BACD", "BCDADCB", "ADCBCDA"])
@pytest.mark.parametrize("late_first", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_late_parameter_joins_the_friction_of_its_group(
    word: str, late_first: bool, fused: bool
) -> None:
    """KFAD: with a zero gradient and no momentum, the late one must not change anything."""
    early, twin, late = parameter([1.0, -0.6]), parameter([1.0, -0.6]), parameter([0.4, 0.9])
    order = [late, early] if late_first else [early, late]
    together = optim.KFAD(order, lr=0.1, gamma=0.3, alpha=0.7, mu=0.9, word=word, fused=fused)
    alone = optim.KFAD([twin], lr=0.1, gamma=0.3, alpha=0.7, mu=0.9, word=word, fused=False)
    for n in range(8):
        give(early, twin)
        if n >= 3:
            late.grad = torch.zeros_like(late)
        together.step()
        alone.step()
        expected = alone.state[twin]["xi"]
        for param, state in together.state.items():
            assert state["xi"].item() == pytest.approx(expected.item(), rel=1e-14), (n, param)
            assert state["xi"].dtype == torch.float64
    torch.testing.assert_close(early, twin, rtol=1e-14, atol=1e-15)
    assert torch.equal(late, parameter([0.4, 0.9]))


def test_groups_have_their_own_friction() -> None:
    a, b = parameter([1.0, -0.6]), parameter([0.4, 0.9])
    optimizer = optim.KFAD([{"params": [a]}, {"params": [b]}], lr=0.1, mu=0.9)
    for _ in range(3):
        give(a, b)
        optimizer.step()
    assert optimizer.state[a]["xi"] != optimizer.state[b]["xi"]


def test_shared_friction_sums_over_all_parameters_of_a_group() -> None:
    """Two parameters move as one vector: |p|² is the sum over both."""
    a, b, joined = (
        parameter([1.0, -0.6]),
        parameter([[0.4], [0.9]]),
        parameter([1.0, -0.6, 0.4, 0.9]),
    )
    split = optim.KFAD([a, b], lr=0.1, gamma=0.3, alpha=0.7, mu=0.9)
    whole = optim.KFAD([joined], lr=0.1, gamma=0.3, alpha=0.7, mu=0.9)
    for _ in range(10):
        for param in (a, b, joined):
            param.grad = param.detach() ** 3 + param.detach()
        split.step()
        whole.step()
    both = torch.cat([a.detach(), b.detach().flatten()])
    torch.testing.assert_close(both, joined.detach(), rtol=1e-14, atol=1e-15)


def test_sparse_gradients_are_refused() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    optimizer = optim.CD(table.parameters(), lr=0.1)
    table(torch.tensor([1, 3])).sum().backward()
    before = table.weight.detach().clone()
    with pytest.raises(RuntimeError, match=r"parameter 0 .*\(5, 2\).* sparse .*sparse=False"):
        optimizer.step()
    assert torch.equal(table.weight, before)
