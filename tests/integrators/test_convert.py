"""torch's SGD and words of LDHD: kick factors, round trips, parity on a nonlinear problem."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import CoupledQuartic, Flat, descend, parameter, slope

from dashpot import dynamics
from dashpot.dynamics import LDHD, NAG, Dynamics, GradientFlow
from dashpot.integrators import Word, convert, optim, simulate, solve
from dashpot.integrators.convert import from_sgd, kick_factor, to_sgd
from dashpot.integrators.convert.heavy_ball import heavy_ball, linear

STEPS = 200
X0 = [1.0, -0.6]
# A step rounds x ~ 1 a few times; momenta damped by β ≤ 0.9 sum such errors up to 10 at a time.
CLOSE = 1e-13
landscape = CoupledQuartic()


def words(letters: str = "ABD", longest: int = 5) -> list[str]:
    """Every word of LDHD with one gradient a step and no letter next to itself."""
    found = []
    for length in range(3, longest + 1):
        for chosen in itertools.product(letters, repeat=length):
            word = "".join(chosen)
            repeats = any(a == b for a, b in itertools.pairwise(word))
            if set(word) == set(letters) and not repeats:
                found.append(word)
    return [w for w in found if Word(w, LDHD(1.0)).gradients_per_step == 1]


WORDS = words()


def run(optimizer_of: Any) -> torch.Tensor:
    param = parameter(X0)
    return descend(optimizer_of([param]), param, landscape, STEPS)


def sgd(**settings: Any) -> torch.Tensor:
    return run(lambda params: torch.optim.SGD(params, **settings))


def same(late: torch.Tensor, points: torch.Tensor, delay: int) -> None:
    """`late` is `points`, `delay` calls behind."""
    assert (late[delay:] - points[: STEPS + 1 - delay]).abs().max() < CLOSE
    assert (points[-1] - points[0]).abs().min() > 0.1
    if delay:
        assert torch.equal(late[1], late[0])


# --- the kick factor ------------------------------------------------------------------------------


def test_the_words_are_all_there() -> None:
    """3! of three letters, the symmetric ones; not those with kicks at two points."""
    assert len([word for word in WORDS if len(word) == 3]) == 6
    assert {"BDADB", "ADBDA", "BADAB", "DBABD", "ABDBA", "DABAD"} <= set(WORDS)
    assert "ABAD" in WORDS and not {"BABAD", "ABADB", "DBABA"} & set(WORDS)


def by_hand(word: str, beta: float) -> float:
    """ρ = Σ w_B w_A β^θ, θ the damping met on the way round from that kick to that drift."""
    share = {letter: 1 / word.count(letter) for letter in word}
    total = 0.0
    for i, j in itertools.product(range(len(word)), repeat=2):
        if word[i] == "B" and word[j] == "A":
            between = word[i:j] if i < j else word[i:] + word[:j]
            total += share["B"] * share["A"] * beta ** (between.count("D") * share["D"])
    return total


@pytest.mark.parametrize("beta", [0.9, 0.2, 1.0])
def test_kick_factor_is_the_cyclic_sum(beta: float) -> None:
    for word in WORDS:
        assert kick_factor(word, beta) == pytest.approx(by_hand(word, beta), rel=1e-15), word


def test_kick_factors_in_closed_form() -> None:
    beta = 0.7
    closed = {
        1.0: ["BAD", "DBA", "ADB", "BACD", "CDBA"],
        beta: ["BDA", "ABD", "DAB", "BCDA", "BGA"],
        math.sqrt(beta): ["BDADB", "ADBDA", "BCDADCB"],
        (1 + beta) / 2: ["BADAB", "DBABD", "ABDBA", "DABAD"],
        0.25 + 0.75 * beta: ["BA:1/4DA:3/4"],
        beta**0.3: ["BD:0.3AD:0.7"],
    }
    for rho, equal in closed.items():
        for word in equal:
            assert kick_factor(word, beta) == pytest.approx(rho, rel=1e-15), word


# --- SGD ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
def test_every_word_with_one_gradient_is_torchs_sgd(word: str) -> None:
    """Both ways: torch's settings as this word, and this word from rest as torch's settings."""
    settings: dict[str, Any] = {"lr": 0.02, "momentum": 0.9}
    made = from_sgd(**settings, word=word)
    same(run(made.optimizer), sgd(**settings), made.delay)
    back = to_sgd(LDHD(1.5), word, lr=0.1)
    points = run(lambda p: optim.LDHD(p, lr=0.1, gamma=1.5, word=word))
    same(points, run(back.optimizer), back.delay)


@pytest.mark.parametrize("word", ["BAD", "DBA", "BDA", "BADAB", "BDADB", "BCDA", "BCDADCB"])
@pytest.mark.parametrize("dampening", [0.4, -0.5])
def test_dampening(word: str, dampening: float) -> None:
    settings: dict[str, Any] = {"lr": 0.02, "momentum": 0.9, "dampening": dampening}
    same(run(from_sgd(**settings, word=word).optimizer), sgd(**settings), 0)


def test_dampening_starts_from_a_kick() -> None:
    """DBA: h = √(lr (1−τ)), p₀ = −h τ/(β (1−τ)) ∇f(x₀), because torch's first step is undamped."""
    lr, beta, tau = 0.02, 0.8, 0.3
    made = from_sgd(lr, beta, tau, word="DBA")
    assert made.lr == pytest.approx(math.sqrt(lr * (1 - tau)), rel=1e-15)
    assert made.kick == pytest.approx(tau / (beta * (1 - tau)), rel=1e-14)
    x0 = torch.tensor(X0, dtype=torch.float64)
    points = simulate(
        made.dynamics, landscape, made.start(x0, landscape.df(x0)), step=made.lr, steps=STEPS,
        word=made.word,
    )["x"]  # fmt: skip
    same(points, sgd(lr=lr, momentum=beta, dampening=tau), 0)


def test_a_word_that_splits_its_kick_starts_shorter() -> None:
    """BADAB from rest: half a kick first, so torch's dampening is −1 at lr = (1+β)/4 h²."""
    h, gamma = 0.1, 1.5
    beta = math.exp(-gamma * h)
    settings = to_sgd(LDHD(gamma), "BADAB", h).settings
    assert settings["dampening"] == pytest.approx(-1.0, abs=1e-15)
    assert settings["lr"] == pytest.approx((1 + beta) / 4 * h * h, rel=1e-15)


def test_nesterov() -> None:
    settings: dict[str, Any] = {"lr": 0.02, "momentum": 0.9, "nesterov": True}
    made = from_sgd(**settings)
    assert made.word == "BDFA" and isinstance(made.dynamics, NAG)
    same(run(made.optimizer), sgd(**settings), 0)
    assert to_sgd(made.dynamics, "BDFA", made.lr).settings == pytest.approx(settings, rel=1e-14)


def test_no_momentum_is_gradient_flow() -> None:
    made = from_sgd(0.02)
    same(run(made.optimizer), sgd(lr=0.02), 0)
    same(sgd(lr=0.02), sgd(lr=0.02, dampening=0.5), 0)  # torch has no buffer to dampen
    assert from_sgd(0.02, dampening=0.5).code() == made.code()
    assert to_sgd(GradientFlow(2.0), lr=0.01).settings == {"lr": 0.02}


def test_no_friction_is_momentum_one() -> None:
    made = from_sgd(0.02, 1.0)
    assert made.dynamics.hyperparameters["gamma"] == 0
    assert to_sgd(made.dynamics, "BAD", made.lr).settings["momentum"] == 1


positive = st.floats(1e-6, 1e3)
betas = st.floats(0.01, 0.999)


@given(positive, betas, st.floats(-2.0, 0.9), st.sampled_from([*WORDS, "BCDA", "BGAGB"]))
def test_sgd_there_and_back(lr: float, momentum: float, dampening: float, word: str) -> None:
    if heavy_ball(linear(word), momentum).delay:
        dampening = 0.0
    made = from_sgd(lr, momentum, dampening, word=word)
    back = to_sgd(made.dynamics, made.word, made.lr, made.kick)
    found = back.settings
    assert found["lr"] == pytest.approx(lr, rel=1e-12)
    assert found["momentum"] == pytest.approx(momentum, rel=1e-12)
    # 1 − τ is the number that is multiplied
    assert 1 - found.get("dampening", 0.0) == pytest.approx(1 - dampening, rel=2e-12)
    assert made.delay == back.delay


@given(positive, st.floats(0.01, 4.0), st.sampled_from(WORDS))
def test_ldhd_there_and_back(h: float, damping: float, word: str) -> None:
    """From rest, through torch's dampening where the word splits its kick."""
    back = to_sgd(LDHD(damping / h), word, h)
    made = from_sgd(**back.settings, word=word)
    assert made.lr == pytest.approx(h, rel=1e-12)
    assert made.dynamics.hyperparameters["gamma"] == pytest.approx(damping / h, rel=1e-12)
    assert made.kick == pytest.approx(0.0, abs=1e-12 / math.exp(-damping))


def test_the_ode_model_of_sgd() -> None:
    """h = √(2 lr/(1+β)), γ = −ln β/h, p₀ = −(h/2) ∇f(x₀): where the word BADAB starts."""
    lr, beta = 0.02, 0.9
    model = convert.ode_model_of_sgd(lr, beta)
    assert model.lr == pytest.approx(math.sqrt(2 * lr / (1 + beta)), rel=1e-15)
    assert model.dynamics.hyperparameters["gamma"] == pytest.approx(-math.log(beta) / model.lr)
    x0 = torch.tensor(X0, dtype=torch.float64)
    start = model.start(x0, landscape.df(x0))
    torch.testing.assert_close(start["p"], -model.lr / 2 * landscape.df(x0), rtol=1e-14, atol=0)


def test_the_ode_model_of_sgd_is_second_order() -> None:
    """Constant friction and flow, lr → lr/4 and β = e^{−γh}: the error at t = 1 falls by 16."""
    gamma, errors, sizes = 1.0, [], (0.1, 0.05, 0.025)
    x0 = torch.tensor(X0, dtype=torch.float64)
    for h in sizes:
        beta = math.exp(-gamma * h)
        lr = h * h * (1 + beta) / 2
        model = convert.ode_model_of_sgd(lr, beta)
        assert model.lr == pytest.approx(h, rel=1e-12)
        points = run(lambda p, lr=lr, beta=beta: torch.optim.SGD(p, lr=lr, momentum=beta))
        flow = solve(
            model.dynamics, landscape, model.start(x0, landscape.df(x0)), until=1.0, times=[1.0],
            rtol=1e-11, atol=1e-13,
        )  # fmt: skip
        errors.append((points[round(1 / h)] - flow["x"][-1]).abs().max().item())
    assert slope(sizes, errors) == pytest.approx(2.0, abs=0.1)


def test_effective_lr_is_the_step_under_a_constant_gradient() -> None:
    flat, param = Flat([0.5, -2.0]), parameter([0.0, 0.0])
    optimizer = torch.optim.SGD([param], lr=0.02, momentum=0.8, dampening=0.3)
    points = descend(optimizer, param, flat, 200)  # 0.8^200 = 4e-20
    moved = convert.effective_lr(0.02, 0.8, 0.3)
    expected = (-moved * flat.force).tolist()
    assert (points[-1] - points[-2]).tolist() == pytest.approx(expected, rel=1e-12)


def test_a_user_s_own_linear_dynamics_converts() -> None:
    mine = Dynamics(dynamics.Kick(), dynamics.LinearDamping(1.5), dynamics.Drift(), word="BAD")
    assert to_sgd(mine, lr=0.1) == to_sgd(LDHD(1.5), "BAD", 0.1)


def test_a_kicked_optimizer_keeps_its_habits() -> None:
    """Copies, groups with their own lr, maximize, closures, half-precision parameters."""
    made = from_sgd(0.02, 0.9, 0.4, word="DBA")
    once = parameter(X0, torch.bfloat16)
    one = made.optimizer([{"params": [once], "lr": 0.2}])
    two = copy.deepcopy(one)
    (twin,) = two.param_groups[0]["params"]

    def closure() -> torch.Tensor:
        two.zero_grad()
        loss = (twin.float() ** 2).sum()
        loss.backward()
        return loss

    once.grad = 2 * once.detach()
    one.step()
    assert two.step(closure).item() == pytest.approx(1.36, abs=0.01)
    assert torch.equal(once, twin)
    p = one.state[once]["p"]
    assert p.dtype == torch.float32
    # DBA: p₁ = β' p₀ − h g with p₀ = −kick h g and β' = e^{−γh} at this group's h
    beta = math.exp(-float(made.dynamics.hyperparameters["gamma"]) * 0.2)
    grad = once.grad.float()
    torch.testing.assert_close(p, -(beta * made.kick + 1) * 0.2 * grad, rtol=1e-6, atol=0)
    param = parameter(X0)
    climbs = made.optimizer([{"params": [param], "maximize": True}])
    param.grad = param.detach().clone()
    climbs.step()
    assert (param.abs() > torch.tensor(X0).abs()).all()


def test_a_kick_where_the_state_has_more_than_a_momentum() -> None:
    """From p₀ = −kick h ∇f(x₀), as `start` says it; the other variables from zero."""
    made = convert.Equivalent(dynamics.CADAM(1.0, 0.6, 0.5, 0.1), "BEACD", 0.1, kick=0.5)
    x0 = torch.tensor(X0, dtype=torch.float64)
    start = made.start(x0, landscape.df(x0))
    points = simulate(made.dynamics, landscape, start, step=made.lr, steps=STEPS, word=made.word)
    assert (run(made.optimizer) - points["x"]).abs().max() < CLOSE


def test_a_sparse_gradient_leaves_no_kicked_state() -> None:
    layer = torch.nn.Embedding(3, 2, sparse=True)
    kicked = from_sgd(0.02, 0.9, 0.4).optimizer(layer.parameters())
    layer(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse=False"):
        kicked.step()
    assert not kicked.state


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_with_a_schedule_words_of_a_momentum_are_not_sgd(momentum: float) -> None:
    """A schedule of lr moves e^{−γ lr} as well: the notes claim a constant lr, and only that."""

    def scheduled(make: Any) -> torch.Tensor:
        param = parameter(X0)
        optimizer = make([param])
        halved = torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.5)
        for _ in range(60):
            param.grad = landscape.df(param.detach())
            optimizer.step()
            halved.step()
        return param.detach()

    made = from_sgd(0.02, momentum)
    apart = scheduled(made.optimizer) - scheduled(
        lambda params: torch.optim.SGD(params, lr=0.02, momentum=momentum)
    )
    assert bool(apart.abs().max() < CLOSE) == (momentum == 0)
    assert ("at a constant lr" in made.notes[0]) == (momentum > 0)
    for word in ("ADB", "BADAB"):
        assert "at a constant lr" in from_sgd(0.02, 0.9, word=word).notes[0]
        assert "at a constant lr" in to_sgd(LDHD(1.0), word).notes[0]
