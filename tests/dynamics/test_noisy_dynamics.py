"""Dynamics with noise: relations to others, default words, expected energies."""

import itertools
import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from problems import NOISY_DYNAMICS, CoupledQuartic, noise_of_position, slope

from dashpot import dynamics
from dashpot.dynamics import (
    IKFAD,
    KFAD,
    AdaptiveLangevin,
    Drift,
    DriftOrnsteinUhlenbeck,
    Dynamics,
    Kick,
    Langevin,
    LinearDamping,
    MomentumDiffusion,
    NoisyPart,
    OrnsteinUhlenbeck,
    OverdampedLangevin,
    Part,
    SGDFlow,
    State,
)
from dashpot.integrators import Word, simulate
from dashpot.landscapes import Phi4Chain, Quadratic


def word_step(made: Dynamics, word: str, s: State, h: float, gradient: Any, normals: Any) -> None:
    """One step of a word, written out here; `normals(part)` are those of each noisy part."""
    for letter in word:
        part = made.letters[letter]
        if "g" in part.reads:
            s.g = gradient(s.x)
        z = (normals(part),) if isinstance(part, NoisyPart) else ()
        part.flow(s, h / word.count(letter), *z)


@dataclass(frozen=True)
class SecondNoise(MomentumDiffusion):
    letter = "W"


@dataclass(frozen=True)
class SharedNoise(SecondNoise):
    @property
    def driver(self) -> str:
        return "N"


@dataclass(frozen=True)
class Detached(DriftOrnsteinUhlenbeck):
    """A combined part with a Brownian motion that its summand does not have."""

    @property
    def driver(self) -> str:
        return self.letter


@dataclass(frozen=True)
class Muted(DriftOrnsteinUhlenbeck):
    """Combines a part without noise with others."""

    def split(self) -> tuple[Part, ...]:
        return Drift(), LinearDamping(self.gamma)


@dataclass(frozen=True)
class Deaf(Part):
    """Takes no normal numbers, although a summand does."""

    letter, reads, writes = "G", ("p",), ("x", "p")

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p, "p": -s.p}

    def split(self) -> tuple[Part, ...]:
        return Drift(), OrnsteinUhlenbeck(1.0, 1.0)


def test_every_noise_has_a_driver_of_its_own() -> None:
    own = Dynamics(Drift(), Kick(), MomentumDiffusion(0.3), SecondNoise(0.3))
    assert [part.driver for part in own.parts.values() if isinstance(part, NoisyPart)] == ["N", "W"]
    parts = Drift(), Kick(), MomentumDiffusion(0.3), SharedNoise(0.3)
    message = (
        r"correlated noise is not supported: MomentumDiffusion\(sigma=0.3\) and "
        r"SharedNoise\(sigma=0.3\) both have the driver 'N'; give each its own"
    )
    with pytest.raises(ValueError, match=message):
        Dynamics(*parts)
    with pytest.raises(ValueError, match=message):
        Dynamics(*parts[:-1]).with_part(parts[-1])


def test_a_word_refuses_noise_without_a_flow_and_names_what_takes_it() -> None:
    facts = {"letter": "Q", "reads": ("p",), "writes": ("p",), "noisy": "p",
             "rate": lambda part, s: {"p": -s.p}, "amplitude": lambda part, s: 0.3}  # fmt: skip
    mine = Dynamics(Drift(), Kick(), type("Flowless", (NoisyPart,), facts)())
    message = r"'Q' at position 2 .*Flowless has no flow, .* method=\"euler-maruyama\" or \"heun\""
    with pytest.raises(ValueError, match=message) as caught:
        Word("BQA", mine)
    assert "solve" not in str(caught.value)


def test_a_combined_part_shares_the_driver_of_its_summand() -> None:
    assert {part.driver for part in Langevin(1.0, 1.0).letters.values()
            if isinstance(part, NoisyPart)} == {"O"}  # fmt: skip
    for part, found in (
        (Detached(1.0, 1.0), "they have O, it has U"),
        (Muted(1.0, 1.0), "they have none, it has O"),
        (Deaf(), "they have O, it has none"),
    ):
        message = rf"{type(part).__name__}.* must have the driver of its noisy summand: {found}"
        with pytest.raises(ValueError, match=message):
            Dynamics(Kick(), part)


# --- relations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scalar", [True, False])
def test_adaptive_langevin_without_noise_is_kfad(scalar: bool) -> None:
    """The vector fields are equal; at α = 0 so are the steps, and else they differ like h²."""
    landscape = CoupledQuartic()
    gamma, mu = 0.3, 0.9

    def silent(part: NoisyPart) -> Any:
        return torch.ones(2, 2, dtype=torch.float64)  # multiplied by 0

    def run(made: Dynamics, word: str, h: float, steps: int) -> State:
        s = State({"x": torch.tensor([1.0, -0.6]).double(), "p": torch.tensor([0.3, 0.5]).double(),
                   "xi": torch.tensor(0.2 if scalar else [0.2, 0.1]).double()})  # fmt: skip
        for _ in range(steps):
            word_step(made, word, s, h, landscape.df, silent)
        return s

    for alpha in (0.0, 0.7):
        cold = AdaptiveLangevin(gamma, 0.0, mu, alpha, scalar=scalar)
        known = (KFAD if scalar else IKFAD)(gamma, alpha, mu)
        s = run(known, "BACD", 0.1, 3)
        s.g = landscape.df(s.x)
        for name, rate in known.rate(s).items():
            torch.testing.assert_close(cold.rate(s)[name], rate, rtol=1e-15, atol=1e-15)
        torch.testing.assert_close(cold.energy_rate(s), known.energy_rate(s), rtol=1e-14, atol=0)
        differences = []
        counts = (16, 32, 64)
        for n in counts:
            a = run(cold, cold.word, 1 / n, n)
            # O occurs twice in the word, and D with it: e^{−γh/2} twice, not e^{−γh}
            b = run(known, "BACDDCAB", 1 / n, n)
            pairs = [(getattr(a, v), getattr(b, v)) for v in ("x", "p", "xi")]
            differences.append(max((u - v).abs().max().item() for u, v in pairs))
        if alpha == 0:
            assert differences == [0.0, 0.0, 0.0]
        else:
            assert slope([1 / n for n in counts], differences) == pytest.approx(2.0, abs=0.05)


def test_baoab_at_infinite_friction_is_the_scheme_of_leimkuhler_and_matthews() -> None:
    """x ← x − k∇f + √(2kT) (z + z')/2 with k = h²/2, each z used in two steps."""
    landscape, temperature, h = CoupledQuartic(), 0.5, 0.3
    made = Langevin(746 / h, temperature)
    z = torch.randn(21, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = torch.tensor([1.0, -0.6], dtype=torch.float64)
    # p in front of a step is what O and the last kick left of it
    s = State({"x": x, "p": math.sqrt(temperature) * z[0] - h / 2 * landscape.df(x)})
    k = h * h / 2
    for n in range(20):
        word_step(made, made.word, s, h, landscape.df, lambda part, n=n: z[n + 1 : n + 2])
        x = x - k * landscape.df(x) + math.sqrt(2 * k * temperature) * (z[n] + z[n + 1]) / 2
    torch.testing.assert_close(s.x, x, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [0.3, noise_of_position, torch.tensor([[0.2], [0.5]]).double()])
def test_a_step_of_the_modified_equation_is_sgd(scale: Any) -> None:
    lr, landscape = 0.05, CoupledQuartic()
    made = SGDFlow(lr=lr, scale=scale)
    x = torch.tensor([[1.0, 0.2], [-0.6, 0.4]], dtype=torch.float64)
    z = torch.tensor([[0.3, -1.1], [0.8, 2.0]], dtype=torch.float64)
    s = State({"x": x})
    word_step(made, "FN", s, lr, landscape.df, lambda part: z[None])
    moved = x - lr * landscape.df(x)
    # a number commutes with F; a function of x is taken where N stands, after the descent
    size: Any = scale(moved) if callable(scale) else scale
    torch.testing.assert_close(s.x, moved + lr * size * z, rtol=1e-14, atol=1e-15)


def proved(made: Dynamics) -> int:
    return Word(made.word, made).order().order


def test_the_default_words() -> None:
    for made in NOISY_DYNAMICS:
        symmetric = not isinstance(made, OverdampedLangevin | SGDFlow)
        assert Word(made.word, made).is_symmetric == symmetric, made
        assert proved(made) == (2 if symmetric else 1), made


@pytest.mark.parametrize("made", NOISY_DYNAMICS, ids=repr)
def test_a_noisy_dynamics_prints_as_the_call_that_makes_it(made: Dynamics) -> None:
    again = eval(repr(made), {**vars(dynamics), "noise_of_position": noise_of_position})
    assert type(again) is type(made)
    assert (again.parts, again.combined, again.word) == (made.parts, made.combined, made.word)
    twin = pickle.loads(pickle.dumps(made))
    assert (repr(twin), twin.parts) == (repr(made), made.parts)


# --- energies -------------------------------------------------------------------------------------

KINETIC = [made for made in NOISY_DYNAMICS if "p" in made.variables]
UNEQUAL = AdaptiveLangevin(
    0.2, 0.5, 0.8, 0.3, torch.tensor([[0.4], [0.9]], dtype=torch.float64), scalar=False
)


@pytest.mark.parametrize("made", [*KINETIC, UNEQUAL], ids=lambda d: d.name)
def test_the_expected_energy_rate(made: Dynamics) -> None:
    """d/dh of E[energy] after one step of all parts, by quadrature, extrapolated to h = 0.

    From D(h), D(h/2), D(h/4) with a third order error; h = 1e-4 leaves 1e-11 of it and of rounding.
    """
    landscape = CoupledQuartic()
    nodes, weights = np.polynomial.hermite_e.hermegauss(6)
    count = sum(isinstance(part, NoisyPart) for part in made.parts.values())
    z = torch.tensor(list(itertools.product(nodes, repeat=count)), dtype=torch.float64).T
    weight = torch.tensor(list(itertools.product(weights, repeat=count))).double().prod(1)
    weight = weight / weight.sum()
    start = {"x": [1.0, -0.6], "p": [0.3, 0.5], "xi": 0.2 if made.scalars else [0.2, -0.1]}

    def state() -> State:
        values = {n: torch.tensor(start[n], dtype=torch.float64) for n in made.variables}
        return State(
            {n: v[..., None].repeat(*(1,) * v.ndim, z.shape[1]) for n, v in values.items()}
        )

    def growth(h: float) -> float:
        s, normals = state(), iter(z)
        before = made.energy(s, landscape.f(s.x))
        word_step(made, "".join(made.parts), s, h, landscape.df, lambda part: [next(normals)])
        return ((made.energy(s, landscape.f(s.x)) - before) * weight).sum().item() / h

    h = 1e-4
    measured = growth(h) / 3 - 2 * growth(h / 2) + 8 / 3 * growth(h / 4)
    s = state()
    s.g = landscape.df(s.x)
    assert made.energy_rate(s)[0].item() == pytest.approx(measured, abs=1e-9)
    torch.testing.assert_close(Dynamics.energy_rate(made, s), made.energy_rate(s))


def test_noise_on_positions_has_no_energy_rate_without_second_derivatives() -> None:
    s = State({"x": torch.zeros(2, 1), "g": torch.zeros(2, 1)})
    with pytest.raises(ValueError, match=r"noise on x \(OverdampedNoise\) has the term ½ Σ σ²"):
        OverdampedLangevin(0.5).energy_rate(s)


def test_a_new_temperature_moves_the_mean_of_the_friction_with_it() -> None:
    cold = AdaptiveLangevin(0.1, 0.5, 2.0, alpha=0.4, sigma=0.6)
    warm = cold.bind({"temperature": 2.0})
    for made, temperature in ((cold, 0.5), (warm, 2.0)):
        rest = State({"xi": 0.6**2 / (2 * temperature)})
        assert made.parts["V"].rate(rest)["xi"] == pytest.approx(0.0, abs=1e-16)


def test_without_temperature_and_noise_the_normal_numbers_do_nothing() -> None:
    quiet = AdaptiveLangevin(0.0, 0.0, 1.0)
    ends = []
    for z in ([0.0, 0.0], [1.3, -0.7]):
        s = State({"x": torch.ones(2).double(), "p": torch.ones(2).double(),
                   "xi": torch.tensor(0.0).double()})  # fmt: skip
        word_step(quiet, quiet.word, s, 0.1, Quadratic([1.0, 2.0]).df, lambda part, z=z: z)
        ends.append(s)
    for name in quiet.variables:
        assert torch.equal(getattr(ends[0], name), getattr(ends[1], name))
        assert torch.isfinite(getattr(ends[0], name)).all()


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [AdaptiveLangevin(0.3, 0.5, 25.0, alpha=0.7, sigma=0.6), KFAD(0.3, 0.7, 25.0)],
    ids=lambda made: made.name,
)
def test_one_friction_for_all_does_not_depend_on_the_batch(made: Dynamics) -> None:
    """A sum over 50 coordinates, bit for bit the same alone and in every batch."""
    landscape, seed = Phi4Chain(50), 3
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(33, 50, dtype=torch.float64, generator=generator)
    noise = seed if made.is_noisy else None

    def ends(x0: torch.Tensor) -> dict[str, torch.Tensor]:
        run = simulate(made, landscape, x0, step=0.1, steps=60, save_every=60, noise=noise)
        return {name: values[-1] for name, values in run.states.items()}

    whole = ends(start)
    for width in (1, 3, 9):
        for name, values in ends(start[:width]).items():
            assert torch.equal(values, whole[name][:width]), (name, width)
    for name, values in ends(start[0]).items():
        assert torch.equal(values, whole[name][0]), name
