"""A run that goes on from a saved one is the run that never stopped, bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from problems import CoupledQuartic
from torch import Tensor

from dashpot.dynamics import CD, KFAD, AdaptiveLangevin, Dynamics, Langevin
from dashpot.integrators import Noise, Trajectory, simulate, solve
from dashpot.landscapes import DoubleWell, Quadratic

X0 = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2)


class Sampled(CoupledQuartic):
    uniforms = 2

    def df_sampled(self, x: Tensor, u: Tensor) -> Tensor:
        return self.df(x) + (u - 0.5)


@pytest.mark.parametrize(
    ("dynamics", "options"),
    [
        (Langevin(0.7, 0.3), {"noise": 4}),
        (Langevin(0.7, 0.3), {"noise": Noise(4, first=5), "word": "UBU"}),
        (Langevin(0.7, 0.3), {"noise": Noise(4, finest=0.0025), "word": "OBABO"}),
        (Langevin(0.7, 0.3), {"noise": 4, "method": "heun"}),
        (Langevin(0.7, 0.3), {"noise": 4, "dtype": torch.float32}),
        (KFAD(0.1, 0.4, 0.9), {"word": "BACDCAB"}),
        (AdaptiveLangevin(0.1, 0.4, 0.9, 0.3, 0.2), {"noise": 2}),
        (CD(0.1, 0.4), {"word": "BACDCAB", "noise": 3, "sampled": True}),
        (CD(0.1, 0.4), {"noise": 3, "sampled": True, "method": "heun"}),
    ],
)
def test_bit_for_bit(dynamics: Dynamics, options: dict[str, Any], tmp_path: Path) -> None:
    options = dict(options)
    landscape = Sampled() if options.pop("sampled", False) else CoupledQuartic()
    whole = simulate(dynamics, landscape, X0, step=0.01, steps=200, save_every=3, **options)
    first = simulate(dynamics, landscape, X0, step=0.01, steps=77, save_every=7, **options)
    saved = Trajectory.load(first.save(tmp_path / "run"))
    if not isinstance(landscape, Sampled):
        options.pop("noise", None)  # a saved run knows its noise
    options.pop("dtype", None)
    later = simulate(dynamics, landscape, saved, step=0.01, steps=123, save_every=9, **options)
    assert whole.status == "finished"
    for name in dynamics.variables:
        assert torch.equal(later[name][-1], whole[name][-1])
    assert later.times[0] == first.times[-1]
    assert later.times[-1] == whole.times[-1]
    joined = saved.joined(later)
    assert joined.settings["steps"] == 200
    assert len(joined) == len(first) + len(later) - 1
    assert torch.equal(joined.energy[-1], whole.energy[-1])
    with pytest.raises(ValueError, match="does not go on from the last state"):
        later.joined(saved)


def test_what_is_not_said_is_the_run_s_own() -> None:
    langevin, field = Langevin(0.7, 0.3), CoupledQuartic()
    choices: list[dict[str, Any]] = [{"word": "UBU"}, {"method": "heun"}]
    for options in choices:
        whole = simulate(langevin, field, X0, step=0.05, steps=20, noise=4, **options)
        first = simulate(langevin, field, X0, step=0.05, steps=8, noise=4, **options)
        assert torch.equal(simulate(langevin, field, first, steps=12)["x"][-1], whole["x"][-1])
    with pytest.raises(TypeError, match="step must be a number, the step size h; got None"):
        simulate(langevin, field, X0, steps=3, noise=4)


def test_a_lost_trajectory_stays_lost_while_others_go_on() -> None:
    x0 = torch.tensor([[0.5], [60.0]])
    well, cd = DoubleWell(1), CD(0.1, 0.0)
    whole = simulate(cd, well, x0, step=0.1, steps=80)
    first = simulate(cd, well, x0, step=0.1, steps=30)
    later = simulate(cd, well, first, step=0.1, steps=50)
    assert first.status == later.status == "diverged"
    assert torch.equal(later["x"][-1].isnan(), whole["x"][-1].isnan())
    assert torch.equal(later["x"][-1, 0], whole["x"][-1, 0])
    assert torch.equal(later.stopped_at, whole.stopped_at)
    assert torch.equal(first.joined(later)["x"].nan_to_num(), whole["x"].nan_to_num())


def test_an_interrupted_run_goes_on_where_it_was_saved() -> None:
    """Ctrl-C between two saved states, after a trajectory was lost behind the last of them."""

    class Interrupting(DoubleWell):
        def __init__(self, stop: int) -> None:
            super().__init__(1)
            self.left = stop

        def df(self, x: Tensor) -> Tensor:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().df(x)

    x0, cd = torch.tensor([[0.5], [60.0]], dtype=torch.float64), CD(0.1, 0.0)
    whole = simulate(cd, DoubleWell(1), x0, step=0.1, steps=100, save_every=20)
    assert 0 < whole.stopped_at[1] < 20  # lost before the first saved state
    for stop in (9, 30, 70, 75, 88, 110, 140):
        part = simulate(cd, Interrupting(stop), x0, step=0.1, steps=100, save_every=20)
        assert part.status == "interrupted"
        done = round(part.times[-1].item() / 0.1)
        rest = simulate(cd, DoubleWell(1), part, step=0.1, steps=100 - done, save_every=20)
        joined = part.joined(rest)
        assert torch.equal(joined["x"].nan_to_num(), whole["x"].nan_to_num())
        assert torch.equal(joined.stopped_at, whole.stopped_at)
        assert joined.settings["steps"] == 100
        assert joined.status == whole.status


def test_a_wholly_lost_run_stays_as_it_is() -> None:
    cd, well = CD(0.1, 0.0), DoubleWell(1)
    lost = simulate(cd, well, [60.0], step=0.1, steps=50)
    later = simulate(cd, well, lost, step=0.1, steps=50)
    assert later.status == "diverged" and len(later) == 1
    assert torch.equal(later.stopped_at, lost.stopped_at)
    assert later.message == lost.message  # from the last finite state it is lost again


def test_what_goes_on_must_be_what_was_begun() -> None:
    langevin, well = Langevin(0.7, 0.3), DoubleWell(1)
    run = simulate(langevin, well, step=0.1, steps=5, noise=1)
    with pytest.raises(ValueError, match=r"with step = 0.2: it had 0.1"):
        simulate(langevin, well, run, step=0.2, steps=5)
    with pytest.raises(ValueError, match=r"with word = UBU: it had BAOAB"):
        simulate(langevin, well, run, step=0.1, steps=5, word="UBU")
    with pytest.raises(ValueError, match=r"with noise = .*'seed': 2.*it had .*'seed': 1"):
        simulate(langevin, well, run, step=0.1, steps=5, noise=2)
    with pytest.raises(ValueError, match=r"with parts = .*temperature=0.4"):
        simulate(Langevin(0.7, 0.4), well, run, step=0.1, steps=5)
    with pytest.raises(ValueError, match=r"with landscape ="):
        simulate(langevin, Quadratic([1.0]), run, step=0.1, steps=5)
    with pytest.raises(ValueError, match="on this Quadratic its last state has another energy"):
        stiff = simulate(langevin, Quadratic([3.0]), [1.0], step=0.1, steps=5, noise=1)
        simulate(langevin, Quadratic([1.0]), stiff, step=0.1, steps=5)
    cd = CD(0.1, 0.0)
    with pytest.raises(ValueError, match="was not made by simulate"):
        simulate(cd, well, solve(cd, well, until=1.0), step=0.1, steps=5)


def test_another_dynamics_or_landscape_is_named_first() -> None:
    """Also where the run's own word or noise would not fit them."""
    langevin, field = Langevin(0.7, 0.3), CoupledQuartic()
    run = simulate(langevin, field, X0, step=0.05, steps=4, noise=4)
    with pytest.raises(ValueError, match="cannot go on with dynamics = CD: it had Langevin"):
        simulate(CD(0.1, 0.1), field, run, steps=3)
    sampled = simulate(CD(0.1, 0.1), Sampled(), X0, step=0.05, steps=4, noise=4)
    with pytest.raises(ValueError, match="cannot go on with dynamics = Langevin: it had CD"):
        simulate(langevin, Sampled(), sampled, steps=3)
    with pytest.raises(TypeError, match="expected a dynamics"):
        simulate("CD", field, run, steps=3)  # type: ignore[arg-type]
