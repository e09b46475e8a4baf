"""Dynamics with noise as torch optimizers: samplers of e^{−loss/T}."""

import copy
import io
import math

import pytest
import torch
from problems import NOISY_DYNAMICS, parameter
from torch import Tensor, nn

from dashpot.dynamics import CD, AdaptiveLangevin, Dynamics, Langevin, OverdampedLangevin
from dashpot.integrators import Noise, optim, simulate
from dashpot.landscapes import Quadratic

LANGEVIN = Langevin(gamma=0.8, temperature=0.5)


def run(param: nn.Parameter, optimizer: torch.optim.Optimizer, steps: int) -> Tensor:
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (torch.tensor([1.0, 2.0]) * param * param)).sum().backward()
        optimizer.step()
    return param.detach().clone()


@pytest.mark.parametrize("word", ["BAOAB", "OBABO", "BUB", "BU", "BAO"])
def test_an_optimizer_has_the_noise_of_the_simulation(word: str) -> None:
    """The first parameter is trajectory 0, its elements are the coordinates. In these words the
    last move of x is followed by nothing else that moves it: a call ends at the step's x."""
    param = parameter([1.0, -0.5])
    optimizer = optim.optimizer(LANGEVIN, [param], lr=0.1, word=word, noise=7)
    ends = [run(param, optimizer, 1) for _ in range(6)]
    field = Quadratic([1.0, 2.0])
    expected = simulate(LANGEVIN, field, [1.0, -0.5], step=0.1, steps=6, word=word, noise=7)
    assert torch.allclose(torch.stack(ends), expected["x"][1:], rtol=1e-12, atol=1e-14)


def test_the_law_is_that_of_the_word() -> None:
    """Many elements are many systems: BAOAB has ⟨x²⟩ = T/k exactly on a quadratic, here T/1."""
    count = 20_000
    param = nn.Parameter(torch.zeros(count, dtype=torch.float64))
    optimizer = optim.optimizer(Langevin(1.0, 0.5), [param], lr=0.5, noise=1)
    for _ in range(60):
        optimizer.zero_grad()
        (0.5 * param * param).sum().backward()
        optimizer.step()
    variance = param.detach().square().mean().item()
    assert abs(variance - 0.5) < 4 * 0.5 * math.sqrt(2 / count)


def test_parameters_and_elements_have_noise_of_their_own() -> None:
    params = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(6))]
    optimizer = optim.optimizer(LANGEVIN, params, lr=0.1, noise=2)
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    drawn = torch.cat([optimizer.state[p]["p"].flatten() for p in params])
    assert drawn.dtype == torch.float32
    assert len(drawn.unique()) == 12
    z = Noise(2).normals(0, ord("O") - ord("A"), 1, 6, 2)[0]
    assert torch.allclose(drawn, z.T.flatten().float() * (drawn[0] / z[0, 0]).float(), rtol=1e-5)


@pytest.mark.parametrize("word", ["BAOAB", "OBABO", "BUB"])
def test_a_resumed_run_has_the_same_noise(word: str) -> None:
    param = parameter([1.0, -0.5])
    optimizer = optim.optimizer(LANGEVIN, [param], lr=0.1, word=word, noise=7)
    run(param, optimizer, 5)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    other = nn.Parameter(param.detach().clone())
    resumed = optim.optimizer(LANGEVIN, [other], lr=0.1, word=word, noise=0)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    twin = copy.deepcopy((param, optimizer))
    assert torch.equal(run(param, optimizer, 5), run(other, resumed, 5))
    assert torch.equal(param.detach(), run(*twin, 5))


def test_no_step_with_lr_zero_and_a_late_parameter() -> None:
    first, late = parameter([1.0, 1.0]), parameter([1.0, 1.0])
    optimizer = optim.optimizer(LANGEVIN, [first, late], lr=0.0, word="OBABO", noise=1)
    first.grad = torch.zeros_like(first)
    optimizer.step()
    assert torch.equal(first.detach(), torch.ones(2))
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    late.grad = torch.zeros_like(late)
    optimizer.step()
    assert optimizer.state[first]["steps"] == 2
    assert optimizer.state[late]["steps"] == 1
    assert late.isfinite().all() and not torch.equal(first.detach(), late.detach())


def test_a_seed_is_asked_for_where_there_is_noise() -> None:
    param = parameter([1.0])
    with pytest.raises(ValueError, match="Langevin has noise: give a seed, such as noise=1"):
        optim.optimizer(LANGEVIN, [param], lr=0.1)
    with pytest.raises(ValueError, match="CD has no noise; leave out noise=3"):
        optim.optimizer(CD(0.1, 0.1), [param], lr=0.1, noise=3)
    with pytest.raises(TypeError, match=r"seed must be a whole number; got 0\.5"):
        optim.optimizer(LANGEVIN, [param], lr=0.1, noise=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("dynamics", NOISY_DYNAMICS, ids=lambda d: d.name)
def test_every_noisy_dynamics_runs(dynamics: Dynamics) -> None:
    if any(callable(v) for part in dynamics.parts.values() for v in part.options.values()):
        pytest.skip("an amplitude that is a function of x is for simulate")
    for word in {dynamics.word, "".join(dynamics.parts)}:
        param = parameter([1.0, -0.5])
        optimizer = optim.optimizer(dynamics, [param], lr=0.05, word=word, noise=1)
        points = [run(param, optimizer, 1) for _ in range(5)]
        assert torch.stack(points).isfinite().all()
        assert optimizer.state[param]["steps"] == 5


def test_overdamped_langevin_is_sgld() -> None:
    """x ← x − h∇f + √(2Th) z with the noise of the simulation: the word FN."""
    param = parameter([1.0, -0.5])
    optimizer = optim.optimizer(OverdampedLangevin(0.3), [param], lr=0.1, noise=7)
    ends = [run(param, optimizer, 1) for _ in range(6)]
    field = Quadratic([1.0, 2.0])
    expected = simulate(OverdampedLangevin(0.3), field, [1.0, -0.5], step=0.1, steps=6, noise=7)
    assert torch.allclose(torch.stack(ends), expected["x"][1:], rtol=1e-12, atol=1e-14)


def test_one_friction_for_a_group_has_one_noise() -> None:
    """With all noise on the shared ξ, how the elements are cut into parameters changes nothing."""
    dynamics = AdaptiveLangevin(gamma=0.0, temperature=0.5, mu=1.0, alpha=0.8)
    runs = []
    for cut in ([[1.0, -0.5]], [[1.0], [-0.5]]):
        params = [parameter(values) for values in cut]
        optimizer = optim.optimizer(dynamics, params, lr=0.1, noise=3)
        for _ in range(6):
            for p in params:
                p.grad = p.detach().clone()
            optimizer.step()
        runs.append(torch.cat([p.detach() for p in params]))
    expected = simulate(dynamics, Quadratic([1.0, 1.0]), [1.0, -0.5], step=0.1, steps=6, noise=3)
    assert torch.allclose(runs[0], runs[1], rtol=1e-13)
    assert torch.allclose(runs[0], expected["x"][-1], rtol=1e-12)


def test_the_seed_of_a_group_is_checked() -> None:
    params = [parameter([1.0]), parameter([2.0])]
    optimizer = optim.optimizer(LANGEVIN, params[:1], lr=0.1, noise=1)
    with pytest.raises(ValueError, match="seed must be"):
        optimizer.add_param_group({"params": params[1:], "noise": -3})
    optimizer.add_param_group({"params": params[1:], "noise": 5})
    assert [group["noise"] for group in optimizer.param_groups] == [1, 5]
    damped = optim.optimizer(CD(0.1, 0.1), params[:1], lr=0.1)
    with pytest.raises(ValueError, match="CD has no noise; a group has 5"):
        damped.add_param_group({"params": params[1:], "noise": 5})
