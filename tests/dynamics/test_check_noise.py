"""`check` sees by quadrature what is wrong with a part that has noise."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashpot.dynamics import (
    SILENCE,
    CubicNoise,
    Diffusion,
    DriftOrnsteinUhlenbeck,
    FrictionNoise,
    MomentumDiffusion,
    NoisyPart,
    OrnsteinUhlenbeck,
    OverdampedNoise,
    Part,
    State,
    check,
)
from dashpot.dynamics.elements import exp, sqrt


@dataclass(frozen=True)
class Own(NoisyPart):
    """dp = −p dt + σ dW by a step of Euler and Maruyama, right as such."""

    letter, reads, writes, noisy, kind = "Q", ("p",), ("p",), "p", "consistent"
    sigma: float = 0.6

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.p}

    def amplitude(self, s: State) -> Any:
        return self.sigma

    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(h) * z[0]


@dataclass(frozen=True)
class TwiceTheVariance(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(2 * h) * z[0]


@dataclass(frozen=True)
class TimeForItsRoot(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * h * z[0]


@dataclass(frozen=True)
class WithoutDrift(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p + self.sigma * sqrt(h) * z[0]


@dataclass(frozen=True)
class FalselyExact(Own):
    kind = "exact"


@dataclass(frozen=True)
class Stratonovich(CubicNoise):
    """The solution in the sense of Stratonovich of dp = √(2cT) p dW, with Itô's drift declared."""

    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = exp(sqrt(2 * self.c * self.temperature * h) * z[0]) * s.p


@dataclass(frozen=True)
class WrongPath(OrnsteinUhlenbeck):
    """√h z instead of W: right at h = 0, but not the path that goes with the integral of O."""

    def increment(self, h: Any, z: Any) -> Any:
        return sqrt(h) * z[0]


@dataclass(frozen=True)
class BackwardsPath(OrnsteinUhlenbeck):
    def increment(self, h: Any, z: Any) -> Any:
        return -sqrt(h) * z[0]


@dataclass(frozen=True)
class ShortPath(OrnsteinUhlenbeck):
    def increment(self, h: Any, z: Any) -> Any:
        return h * z[0]


@dataclass(frozen=True)
class NoiseElsewhere(Own):
    """Noise on x as well, which only p is declared to have."""

    writes = ("x", "p")

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p, "p": -s.p}

    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.x = s.x + h * s.p + 0.1 * sqrt(h) * z[0]
        super().flow(s, h, z)


@dataclass(frozen=True)
class Correlated(Own):
    """Every coordinate feels the sum of the noises: not diagonal."""

    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(h) * s.total(z[0])


@dataclass(frozen=True)
class AmplitudeReads(Own):
    def amplitude(self, s: State) -> Any:
        return 0.1 * s.x


@dataclass(frozen=True)
class Greedy(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(h) * z[1]


@dataclass(frozen=True)
class InPlace(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p += self.sigma * sqrt(h) * z[0] - h * s.p


@dataclass(frozen=True)
class Branching(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(h) * (z[0] if z[0] > 0 else 1.0 * z[0])


@dataclass(frozen=True)
class OnTensors(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(h) * torch.as_tensor(z[0])


@dataclass(frozen=True)
class Infinite(Own):
    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.p = s.p - h * s.p + self.sigma * sqrt(-h) * z[0]


def test_ones_own_part_passes() -> None:
    errors = check(Own())
    assert set(errors) == {
        "types", "rate reads", "drift", "amplitude", "increment", "writes", "reads",
    }  # fmt: skip
    assert max(errors.values()) < 1e-9


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (TwiceTheVariance(), "variance of flow.* does not begin to grow at the square of its ampl"),
        (TimeForItsRoot(), "variance of flow"),
        (Correlated(), "variance of flow"),
        (NoiseElsewhere(), "variance of flow.* of no other variable than `noisy`"),
        (WithoutDrift(), "mean of flow.* does not begin to change at its rate"),
        (Stratonovich(0.7, 0.5), "mean of flow.* does not begin to change at its rate"),
        (FalselyExact(), "declared exact, but .* not the mean and covariance of flow"),
        (WrongPath(0.6, 0.7), "declared exact, .* or not those together with W"),
        (BackwardsPath(0.6, 0.7), "increment.* is not the Brownian motion"),
        (ShortPath(0.6, 0.7), "increment.* is not the Brownian motion"),
        (AmplitudeReads(), r"its rate depends .* neither `reads` nor .* \(or its amplitude does\)"),
        (Greedy(), "flow does not run on symbols.*: it takes more than normals=1 normal numbers"),
        (InPlace(), r"flow changes s\.p in place"),
        (Branching(), "no branch on a value in flow"),
        (OnTensors(), "flow does not run on symbols"),
        (Infinite(), "nan"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Part) else "",
)
def test_wrong_parts_are_refused(part: Part, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check(part)
    assert type(part).__name__ in str(caught.value)


def test_without_a_flow_only_rate_and_amplitude_are_checked() -> None:
    facts = {"letter": "Q", "reads": ("p",), "writes": ("p",), "noisy": "p",
             "rate": Own.rate, "amplitude": lambda part, s: 0.3}  # fmt: skip
    part = type("RateOnly", (NoisyPart,), facts)()
    assert not part.has_flow
    assert Own().has_flow
    assert check(part) == {"types": 0.0, "rate reads": 0.0}
    with pytest.raises(NotImplementedError, match=r"RateOnly has no flow.*use method=.*heun"):
        part.flow(State({"p": 1.0}), 0.1)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"kind": "symmetric"}, r"Wrong.kind must be 'exact' or 'consistent'"),
        ({"noisy": "q"}, r"Wrong.noisy must name the variable with noise, one of \('p',\); .* 'q'"),
        ({"normals": 2}, r"1 <= normals <= path_normals <= 2, .* normals=2, path_normals=1"),
        ({"normals": 0}, r"1 <= normals <= path_normals <= 2, .* normals=0"),
        ({"path_normals": 1.5}, r"whole numbers; got normals=1, path_normals=1.5"),
        ({"path_normals": 2}, r"kind 'consistent' gets W/√h .* normals = path_normals = 1"),
        ({"normals": 2, "path_normals": 2}, r"kind 'consistent' .* got normals=2, path_normals=2"),
        ({"increment": WrongPath.increment}, r"kind 'consistent' .* an increment of its own"),
    ],
)
def test_wrong_declarations_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Own,), facts)


def test_a_part_with_noise_has_an_amplitude() -> None:
    facts = {"letter": "Q", "reads": ("p",), "writes": ("p",), "noisy": "p", "rate": Own.rate}
    with pytest.raises(TypeError, match=r"Silent must declare `amplitude`; see NoisyPart for an"):
        type("Silent", (NoisyPart,), facts)
    type("Base", (NoisyPart,), facts, abstract=True)


@pytest.mark.parametrize("driver", ["WX", "w", "", 3, None])
def test_a_driver_is_one_capital_letter(driver: Any) -> None:
    made: Any = type("Driven", (Own,), {"driver": driver})
    with pytest.raises(TypeError, match=r"Driven.driver must be one capital A to Z; got "):
        made()


several = torch.linspace(0.1, 2.0, 8, dtype=torch.float64)
rates, temperatures = st.floats(0, 20), st.floats(0, 5)


@given(
    part=st.one_of(
        st.builds(OrnsteinUhlenbeck, rates, temperatures),
        st.builds(DriftOrnsteinUhlenbeck, rates, temperatures),
        # 32 nodes integrate e^{kz} with relative error k⁶⁴ 32!/64!: with k = 2√(2cTh) and
        # h <= 0.08 that is below 1e-30 for cT <= 10
        st.builds(CubicNoise, st.floats(0, 2), st.floats(0, 5)),
        st.builds(
            FrictionNoise, rates, st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0, 2),
            st.booleans(),
        ),
        st.builds(Diffusion, rates),
        st.builds(MomentumDiffusion, rates),
        st.builds(OverdampedNoise, temperatures),
    ),
    seed=st.integers(0, 100),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_hyperparameters_pass(part: Part, seed: int) -> None:
    errors = check(part, seed=seed, coordinates=2, systems=1)
    assert errors["law"] < 1e-12


def test_hyperparameters_may_be_one_per_system() -> None:
    assert check(OrnsteinUhlenbeck(several, 2 * several))["law"] < 1e-14
    assert check(FrictionNoise(several, 0.7, several, 0.3, scalar=True))["law"] < 1e-14


def test_the_extrapolation_to_short_times_bears_stiff_rates() -> None:
    """Of d/dh at 0 a third order error remains: (γh)³ γ/192 of relative size 5e-9 at γh = 0.01."""
    errors = check(DriftOrnsteinUhlenbeck(1e3, 0.7))
    assert errors["drift"] == pytest.approx(1e-6 / 192, rel=0.2)
    assert math.isfinite(errors["law"])
