import math
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from dashpot.analysis.training.looks.found import Found, found_in_replay, found_in_state
from dashpot.analysis.training.looks.layers import QUANTILES, Layers
from dashpot.analysis.training.looks.noise import Noise, temperature
from dashpot.analysis.training.looks.numbers import plain
from dashpot.analysis.training.looks.replay import can_replay, replay
from dashpot.dynamics import Langevin
from dashpot.integrators import convert, optim
from dashpot.integrators.ensembles.ranks import Ranks

OURS = {
    "LDHD": lambda params: optim.LDHD(params, 0.3, 0.7),
    "KFAD": lambda params: optim.KFAD(params, 0.3, 0.7, 0.5, 2.0),
    "IKFAD": lambda params: optim.IKFAD(params, 0.3, 0.7, 0.5, 0.01),
    "rotation": lambda params: optim.IKFAD(params, 0.3, 0.7, 0.5, 0.01, scheme="rotation"),
    "RIKFAD": lambda params: optim.RIKFAD(params, 0.3, 0.7, 0.5, 0.01),
    "CD": lambda params: optim.CD(params, 0.3, 0.7, 40.0),
    "symmetric": lambda params: optim.CD(params, 0.3, 0.7, 40.0, word="BCDADCB"),
    "together": lambda params: optim.CD(params, 0.3, 0.7, 40.0, word="BGA"),
    "decayed": lambda params: optim.CD(params, 0.3, 0.7, 40.0, weight_decay=0.1),
    "climbing": lambda params: optim.CD(params, 0.3, 0.7, 40.0, momentum_init="gradient"),
    "CADAM": lambda params: optim.CADAM(params, 0.05, 4.0, 0.5, 10.0),
    "Adam": lambda params: optim.CADAM(params, 0.05, 4.0, 0.5, 10.0, bias_correction=True),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()


def with_gradient(net: nn.Module, seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    inputs = torch.randn(8, 5, generator=drawn, dtype=torch.float64)
    targets = torch.randn(8, 3, generator=drawn, dtype=torch.float64)
    net.zero_grad()
    mse_loss(net(inputs), targets).backward()


def after_steps(name: str, steps: int) -> tuple[nn.Module, Any]:
    """A network and its optimizer after some steps, with the next gradient."""
    net = network()
    optimizer = OURS[name](net.parameters())
    for step in range(steps):
        with_gradient(net, step)
        optimizer.step()
    with_gradient(net, steps)
    return net, optimizer


def found(net: nn.Module, optimizer: Any) -> Found:
    seen = found_in_replay(optimizer, Layers(net, Ranks()), None)
    assert seen is not None
    return seen


# --- the step is replayed -------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("name", OURS)
def test_a_replay_ends_where_the_step_does(name: str, steps: int) -> None:
    net, optimizer = after_steps(name, steps)
    before = [param.clone() for param in net.parameters()]
    kept = {place: dict(state) for place, state in enumerate(optimizer.state.values())}
    ends: dict[str, list[Tensor]] = {}  # in rows
    for portion in replay(optimizer):
        for _ in portion.substeps():
            pass
        for variable in optimizer.dynamics.variables:
            tensors = getattr(portion.state, variable).tensors
            ends.setdefault(variable, []).extend(one.flatten() for one in tensors)
    assert all(map(torch.equal, before, net.parameters()))
    assert kept == {place: dict(state) for place, state in enumerate(optimizer.state.values())}
    optimizer.step()
    for variable, values in ends.items():
        states = [optimizer.state[param] for param in net.parameters()]
        made = [*net.parameters()] if variable == "x" else [state[variable] for state in states]
        rows = [one.detach().flatten() for one in made]
        assert torch.equal(torch.cat(values), torch.cat(rows)), variable


def test_portions_leave_the_numbers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "dashpot.analysis.training.looks.replay"
    for name in ("IKFAD", "RIKFAD", "KFAD"):
        net, optimizer = after_steps(name, 3)
        whole = found(net, optimizer)
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.largest", lambda _: 10)
            assert len([*replay(optimizer)]) == (1 if name == "KFAD" else 4)
            parts = found(net, optimizer)
        torch.testing.assert_close(parts.by_layer, whole.by_layer, rtol=1e-12, atol=0)
        torch.testing.assert_close(parts.letters, whole.letters, rtol=1e-12, atol=1e-16)


def test_coordinates_that_the_step_treats_alike_are_in_one_row() -> None:
    """Operations on many small tensors would cost more than what is computed."""
    for name, rows in (("CD", 1), ("IKFAD", 1), ("CADAM", 1), ("RIKFAD", 4), ("KFAD", 4)):
        (portion,) = replay(after_steps(name, 2)[1])
        assert len(portion.params) == 4
        assert len(portion.state.p.tensors) == rows, name


def test_a_layer_that_joins_late_was_not_damped_yet() -> None:
    """Here the damping closes the step before, which it has not made; the others are as ever."""
    seen = []
    for late in (True, False):
        net = network()
        optimizer = optim.IKFAD(net.parameters(), 0.3, 0.7, 0.5, 1e-6, word="BABCD")
        for step in range(3):
            with_gradient(net, step)
            if step < 2 or not late:
                net.get_submodule("2").zero_grad()
            if step < 2:
                optimizer.step()
        seen.append(found(net, optimizer))
    joined, alone = seen
    assert joined.fractions["frozen"][:, 1].tolist() == [0, 0]
    assert joined.by_layer["momentum"][1].isnan().all()
    for name in ("kinetic", "momentum", "friction"):
        torch.testing.assert_close(joined.by_layer[name][0], alone.by_layer[name][0])
    torch.testing.assert_close(joined.numbers["thaw"], alone.numbers["thaw"])


def test_noise_and_several_gradients_are_left_alone() -> None:
    params = [*network().parameters()]
    assert not can_replay(optim.optimizer(Langevin(0.1, 1.0), params, 0.1, noise=1))
    assert not can_replay(optim.CD(params, 0.1, word="BABCDA"))
    assert not can_replay(torch.optim.SGD(params, lr=0.1))


# --- energies -------------------------------------------------------------------------------------


def test_letters_change_the_kinetic_energy_as_on_paper() -> None:
    net, optimizer = after_steps("CD", 3)
    h, gamma, c = 0.3, 0.7, 40.0
    p = torch.cat([optimizer.state[param]["p"].flatten() for param in net.parameters()])
    g = torch.cat([param.grad.flatten() for param in net.parameters() if param.grad is not None])
    kicked = p - h * g
    capped = kicked / (1 + 2 * c * h * kicked**2).sqrt()
    left = math.exp(-gamma * h) * capped
    levels = [0.5 * float(q @ q) for q in (p, kicked, capped, left)]
    seen = found(net, optimizer)
    expected = {"B": levels[1] - levels[0], "A": 0.0, "C": levels[2] - levels[1]}
    expected["D"] = levels[3] - levels[2]
    assert seen.letters.keys() == expected.keys()
    assert seen.moving == "A"
    for letter, change in seen.letters.items():
        assert float(change) == pytest.approx(expected[letter], rel=1e-12, abs=1e-18)
    optimizer.step()
    for layer, module in zip(
        seen.by_layer["kinetic"], (net.get_submodule("0"), net.get_submodule("2")), strict=True
    ):
        momenta = [optimizer.state[param]["p"] for param in module.parameters()]
        assert float(layer) == pytest.approx(sum(0.5 * float(m.square().sum()) for m in momenta))


def test_cadam_has_the_energy_of_its_metric() -> None:
    net, optimizer = after_steps("CADAM", 3)
    seen = found(net, optimizer)
    optimizer.step()
    total = 0.0
    for state in optimizer.state.values():
        total += 0.5 * float((state["p"] ** 2 / (state["zeta"].sqrt() + 1e-8)).sum())
    assert float(seen.by_layer["kinetic"].sum()) == pytest.approx(total, rel=1e-12)
    assert list(seen.letters) == ["B", "E", "A", "C", "D"]  # E moves the metric


def test_torch_sgd_and_adam_have_the_energy_of_the_word_that_they_are() -> None:
    sgd: dict[str, Any] = {"lr": 0.05, "momentum": 0.8}
    adam: dict[str, Any] = {"lr": 0.01, "betas": (0.8, 0.95)}
    cases: list[tuple[Any, dict[str, Any], Any]] = [
        (torch.optim.SGD, sgd, convert.from_sgd(0.05, 0.8)),
        (torch.optim.SGD, sgd | {"nesterov": True}, convert.from_sgd(0.05, 0.8, nesterov=True)),
        (torch.optim.Adam, adam, convert.from_adam(0.01, (0.8, 0.95))),
        (torch.optim.AdamW, adam | {"weight_decay": 0.0}, convert.from_adam(0.01, (0.8, 0.95))),
    ]
    for cls, settings, made in cases:
        theirs, ours = network(), network()
        optimizer = cls(theirs.parameters(), **settings)
        word = made.optimizer(ours.parameters())
        for step in range(4):
            for net in (theirs, ours):
                with_gradient(net, step)
            expected = found(ours, word).by_layer["kinetic"]
            for one in (optimizer, word):
                one.step()
            seen = found_in_state(optimizer, Layers(theirs, Ranks()), None)
            torch.testing.assert_close(seen.by_layer["kinetic"], expected, rtol=1e-9, atol=0)
            assert seen.h == made.lr


def test_what_torch_does_not_have_is_left_out() -> None:
    for cls in (torch.optim.SGD, torch.optim.NAdam):
        net = network()
        optimizer = cls(net.parameters(), lr=0.1)
        with_gradient(net, 0)
        optimizer.step()
        assert found_in_state(optimizer, Layers(net, Ranks()), None).by_layer == {}


# --- effective momentum ---------------------------------------------------------------------------


def quantiles(values: list[Tensor]) -> Tensor:
    joined = torch.cat([one.flatten() for one in values])
    return torch.quantile(joined, torch.tensor(QUANTILES, dtype=torch.float64))


def test_effective_momentum_on_paper() -> None:
    h, gamma = 0.3, 0.7
    linear = math.exp(-gamma * h)
    net, optimizer = after_steps("LDHD", 2)
    constant = found(net, optimizer).by_layer["momentum"]
    torch.testing.assert_close(constant, torch.full_like(constant, linear))
    net, optimizer = after_steps("CD", 2)
    layer = [*net.get_submodule("2").parameters()]
    kicked = [optimizer.state[q]["p"] - h * q.grad for q in layer if q.grad is not None]
    factors = [linear / (1 + 2 * 40.0 * h * p**2).sqrt() for p in kicked]
    seen = found(net, optimizer)
    torch.testing.assert_close(seen.by_layer["momentum"][1], quantiles(factors))
    hits, of = seen.fractions["capped"][:, 1].tolist()
    assert of == 24 and hits == sum(int((2 * 40.0 * h * p**2 >= 1).sum()) for p in kicked) > 0
    net, optimizer = after_steps("IKFAD", 2)
    layer = [*net.get_submodule("2").parameters()]
    before = [optimizer.state[param]["xi"].clone() for param in layer]
    seen = found(net, optimizer)
    optimizer.step()
    after = [optimizer.state[param]["xi"] for param in layer]
    pairs = zip(before, after, strict=True)
    factors = [torch.exp(-h * (gamma + (a + b) / 2)) for a, b in pairs]  # ξ changes at h/2
    torch.testing.assert_close(seen.by_layer["momentum"][1], quantiles(factors))
    torch.testing.assert_close(seen.by_layer["friction"][1], quantiles(after))


def test_the_cap_is_the_same_with_both_dampings_in_one_letter() -> None:
    h, gamma, c = 0.3, 0.7, 40.0
    phi = -math.expm1(-2 * gamma * h) / gamma
    net, optimizer = after_steps("together", 2)
    p = [optimizer.state[q]["p"] - h * q.grad for q in net.parameters() if q.grad is not None]
    hits = sum(int((c * phi * one**2 >= 1).sum()) for one in p)
    assert found(net, optimizer).fractions["capped"][0].sum() == hits > 0


def test_coordinates_without_momentum_have_no_factor() -> None:
    net, optimizer = after_steps("CD", 0)
    for param in net.get_submodule("0").parameters():
        assert param.grad is not None
        param.grad.zero_()
    seen = found(net, optimizer)
    assert seen.by_layer["momentum"][0].isnan().all()
    assert seen.fractions["frozen"][1].tolist() == [0.0, 24.0]


@pytest.mark.parametrize(("size", "c", "feel"), [(1e-25, 40, 0), (1e25, 40, 8), (1e25, 0, 0)])
@pytest.mark.parametrize("word", ["BACD", "BGA"])
def test_the_cap_where_squares_of_momenta_under_or_overflow(
    size: float, c: float, feel: int, word: str
) -> None:
    net = nn.Linear(8, 1, bias=False)
    optimizer = optim.CD(net.parameters(), 0.3, 0.7, c, word=word)
    net.weight.grad = torch.full((1, 8), size)
    assert found(net, optimizer).fractions["capped"].tolist() == [[feel], [8.0]]


def test_a_spike_freezes_for_as_long_as_is_told() -> None:
    # After the spike ξ only decays, like e^{−αt}: the largest number of steps is met exactly.
    h, gamma, alpha, mu = 0.4, 0.01, 0.2, 1e-3
    net = nn.Linear(40, 1, bias=False).double()
    optimizer = optim.IKFAD(net.parameters(), h, gamma, alpha, mu)
    spike = torch.linspace(0.0, 3.0, 40, dtype=torch.float64)
    told = None
    frozen = []
    for step in range(80):
        net.weight.grad = spike[None] if step == 0 else torch.full((1, 40), 1e-12).double()
        seen = found(net, optimizer)
        frozen.append(float(seen.fractions["frozen"][0]))
        assert len(seen.numbers["watched"]) == frozen[-1]
        told = seen.numbers["thaw"] if step == 0 else told
        optimizer.step()
    assert told is not None and frozen[0] > 20
    still = sum(1 for count in frozen[1:] if count)
    assert 10 < told[0] < told[1] < 79
    assert abs(still - told[1]) < 1


def test_quantiles_are_of_the_same_coordinates_always() -> None:
    net = nn.Linear(200, 100)
    one, other = Layers(net, Ranks()), Layers(net, Ranks())
    values = torch.randn(100, 200)
    chosen = one.sampled([net.weight], values.flatten())
    assert len(chosen) == 256
    assert torch.equal(chosen, other.sampled([net.weight], values.flatten()))
    sample = one.quantiles([net.weight], chosen)[0]
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(QUANTILES))
    assert (sample - normal).abs().max() < 0.3
    numbers, places = one.watched([net.weight], values.flatten())
    assert len(numbers) == len(places) < 4096 + 1


# --- the noise of gradients -----------------------------------------------------------------------


def training(net: nn.Module) -> Any:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    stepping = SimpleNamespace(autocast=nullcontext, scaler=scaler, clip=None, norm=None)
    task = SimpleNamespace(loss=lambda module, batch: mse_loss(module(batch[0]), batch[1]))
    return SimpleNamespace(
        network=net, task=task, stepping=stepping, device=torch.device("cpu"), ranks=Ranks()
    )


def test_halves_tell_the_covariance_of_a_batch() -> None:
    drawn = torch.Generator().manual_seed(1)
    inputs = torch.randn(200, 3, generator=drawn, dtype=torch.float64)
    targets = torch.randn(200, 1, generator=drawn, dtype=torch.float64) + 2
    net = nn.Linear(3, 1).double().requires_grad_(False)
    for param in net.parameters():
        param.zero_().requires_grad_()
    ones = torch.cat((inputs, torch.ones(200, 1)), 1)
    slopes = -2 * targets * ones  # of each example at weights 0
    size = 9  # one is left out of the halves
    exact = slopes.var(0, correction=0).sum().item() / size
    square = slopes.mean(0).square().sum().item()
    found = []
    for _ in range(1500):
        batch = torch.randint(200, (size,), generator=drawn)
        noise = Noise(training(net), (inputs[batch], targets[batch]))
        found.append((noise.trace.item(), noise.gradient_square.item()))
        assert noise.scale == 1
    means = torch.tensor(found).double()
    error = means.std(0) / math.sqrt(len(found))
    assert abs(means[:, 0].mean() - exact) < 4 * error[0] < 0.2 * exact
    assert abs(means[:, 1].mean() - square) < 4 * error[1] < 0.2 * square
    assert all(param.grad is None for param in net.parameters())


def test_the_friction_of_a_step_and_the_temperature_of_its_noise() -> None:
    net, optimizer = after_steps("LDHD", 2)
    seen = found_in_replay(optimizer, Layers(net, Ranks()), None)
    assert seen is not None
    assert seen.numbers["friction"].item() == pytest.approx(0.7, rel=1e-12)
    # Gradients of pure noise: p is an autoregression, var p = h²s² e^{−2γh}/(1 − e^{−2γh}), which
    # is T = h s²/(2γ) but for O(h).
    h, gamma, s = 0.01, 0.7, 3.0
    variance = h**2 * s**2 / math.expm1(2 * gamma * h)
    value = temperature(0.5 * 100 * s**2, 100, h, gamma)
    assert value == pytest.approx(variance, rel=1.1 * gamma * h)
    assert temperature(1.0, 100, h, 0.0) is None


def test_heat_is_measured_in_the_metric_of_the_dynamics() -> None:
    net, optimizer = after_steps("CADAM", 3)
    noise: Any = SimpleNamespace(of=lambda params: [torch.ones_like(one) for one in params])
    seen = found_in_replay(optimizer, Layers(net, Ranks()), noise)
    assert seen is not None
    optimizer.step()
    masses = [state["zeta"].sqrt() + 1e-8 for state in optimizer.state.values()]
    expected = sum(0.5 * float((1 / mass).sum()) for mass in masses)
    assert seen.numbers["heat"].item() == pytest.approx(expected, rel=1e-12)


# --- numbers --------------------------------------------------------------------------------------


def test_numbers_are_short_and_none_where_there_is_none() -> None:
    found = {"a": torch.tensor([[1 / 3, math.nan]]), "b": {"c": torch.tensor(2)}, "d": {}}
    assert plain(found) == {"a": [[0.333333, None]], "b": {"c": 2.0}, "d": {}}
    assert plain({}) == {}
