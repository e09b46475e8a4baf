"""`dashpot map`: its numbers are those of single runs, its figure shows what they say."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dashpot.analysis import plot_map
from dashpot.analysis.__main__ import main
from dashpot.analysis.commands.landscapes import ANY, ONE, landscape
from dashpot.analysis.commands.summary import summary
from dashpot.analysis.commands.word import named_dynamics
from dashpot.analysis.plots.maps import share
from dashpot.dynamics import CD, LDHD
from dashpot.integrators import simulate
from dashpot.integrators.ensembles import Ensemble, FittedRate, TimeToTarget, ensemble
from dashpot.integrators.ensembles.chunk import Chunk
from dashpot.integrators.ensembles.job import Job
from dashpot.landscapes import Quadratic, Rosenbrock

RANGES = ("--gamma", "0.1:10", "--c", "0.1:1e3", "--points", "5")


def mapped(tmp_path, *arguments, code=0):
    out = tmp_path / "map.npz"
    assert main(["map", *arguments, "--backend", "torch", "--output", str(out)]) == code
    return Ensemble.load(out)


def test_its_numbers_are_those_of_single_runs(tmp_path, capsys):
    found = mapped(tmp_path, "CD", "rosenbrock", *RANGES, "--until", "20", "--target", "0.01")
    assert list(found.axes) == ["gamma", "c"] and found.settings["word"] == "BACD"
    assert found.axes["gamma"][[0, 2, 4]] == pytest.approx([0.1, 1.0, 10.0], rel=1e-14)
    for i, j in ((0, 0), (2, 1), (4, 3)):
        values = (torch.tensor([found.axes[name][at]]) for name, at in (("gamma", i), ("c", j)))
        run = simulate(
            CD(*values), Rosenbrock(2), Rosenbrock(2).start[None], step=0.01, steps=2000,
            save_every=2, backend="torch",
        )  # fmt: skip
        energy = run.mechanical_energy[:, 0]
        assert found["final_energy"][i, j] == energy[-1].item()
        reached = (energy <= 0.01).nonzero()
        first = run.times[reached[0]].item() if len(reached) else np.nan
        assert found["time_to_target"][i, j] == pytest.approx(first, nan_ok=True, abs=0)
    told = capsys.readouterr().out
    share = np.isfinite(found["time_to_target"]).mean()
    assert f"25 trajectories (torch), finished\n{share:.1%} reached E <= 0.01, 0.0%" in told
    best = np.nanmin(found["time_to_target"])
    at = np.argwhere(found["time_to_target"] == best)[0]
    gamma, c = found.axes["gamma"][at[0]], found.axes["c"][at[1]]
    assert f"soonest at t = {best:.4g}: gamma = {gamma:.4g}, c = {c:.4g}" in told
    energy = found["final_energy"]
    assert f"E at the end: least {energy.min():.4g}, median {np.median(energy):.4g}\n" in told


def test_the_step_size_is_an_axis_and_starts_are_drawn_from_the_seed(tmp_path):
    arguments = ("LDHD", "quadratic", "--gamma", "0.1:1", "--step", "0.01:1", "--points", "3")
    more = ("--starts", "4", "--spread", "0.1", "--until", "1", "--dimension", "3")
    found = mapped(tmp_path, *arguments, *more)
    assert found.shape == (3, 3, 4) and found.settings["steps"] == [100, 10, 1]
    assert found.settings["landscape"] == "Quadratic(d=3, m=1, L=100)"
    # L h² = 100 h² > 4 for the largest step: one step of x → x − h²Lx with |1 − h²L| = 99
    assert (found["final_energy"][:, 2] > found["final_energy"][:, 0]).all()
    (tmp_path / "map.npz").unlink()
    again = mapped(tmp_path, *arguments, *more, "--seed", "1")
    energies = [one["final_energy"] for one in (found, again)]
    assert (energies[0][..., 0] == energies[1][..., 0]).all()  # the landscape's own start
    assert (energies[0][..., 1:] != energies[1][..., 1:]).all()


def test_the_step_size_is_also_called_lr(tmp_path):
    named = [
        mapped(tmp_path / name, "LDHD", "quadratic", "--gamma", "0.1:1", f"--{name}", "0.1:0.2",
               "--points", "2", "--until", "1")
        for name in ("step", "lr")
    ]  # fmt: skip
    assert list(named[0].axes) == list(named[1].axes) == ["gamma", "step"]
    assert (named[0]["final_energy"] == named[1]["final_energy"]).all()


def cut_after_64(monkeypatch):
    """From now on the second chunk of 64 trajectories is interrupted; the list is of all chunks."""
    run, calls = Chunk.run, []

    def second_is_interrupted(self, engine, tell):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        run(self, engine, tell)

    monkeypatch.setattr(Chunk, "run", second_is_interrupted)
    monkeypatch.setattr(Job, "chunk_size", lambda self, asked, ranks: 64)
    return calls


def test_a_broken_off_map_goes_on(tmp_path, monkeypatch, capsys):
    arguments = ("CD", "rosenbrock", *RANGES[:-1], "12", "--steps", "10")
    whole = mapped(tmp_path, *arguments)
    (tmp_path / "map.npz").unlink()
    calls = cut_after_64(monkeypatch)
    broken = mapped(tmp_path, *arguments, code=130)
    assert broken.status == "interrupted" and broken.computed.sum() == 64
    assert "\nthe same command computes the rest" in capsys.readouterr().out
    again = mapped(tmp_path, *arguments)
    assert len(calls) == 2 + 2  # chunks of 64, 64 and 16
    assert all(again[name].tobytes() == whole[name].tobytes() for name in whole.values)
    assert main(["map", *arguments, "--target", "1", "--output", str(tmp_path / "map.npz")]) == 2


def test_ctrl_c_at_once_writes_no_figure(tmp_path, monkeypatch, capsys):
    def interrupted(self, engine, tell):
        raise KeyboardInterrupt

    monkeypatch.setattr(Chunk, "run", interrupted)
    out = tmp_path / "map.png"
    assert main(["map", "CD", "rosenbrock", *RANGES, "--steps", "9", "--output", str(out)]) == 130
    shown = capsys.readouterr().out
    assert "25 trajectories (torch), interrupted before one was finished" in shown
    assert "%" not in shown and not out.exists()


def test_ctrl_c_while_it_is_drawn_is_told_as_that(tmp_path, monkeypatch, capsys):
    def interrupted(found, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("dashpot.analysis.commands.map.plot_map", interrupted)
    outs = [str(tmp_path / name) for name in ("map.png", "map.npz")]
    assert main(["map", "CD", "rosenbrock", *RANGES, "--steps", "9", "--output", *outs]) == 130
    shown = capsys.readouterr()
    assert "finished" in shown.out and f"{outs[1]} written" in shown.out
    assert "interrupted while the map was drawn" in shown.err
    assert Ensemble.load(outs[1]).status == "finished"


def test_shares_are_of_what_is_computed(tmp_path, monkeypatch, capsys):
    """64 of 144 trajectories, those of the least friction, of which some reach 1e3 at once."""
    cut_after_64(monkeypatch)
    arguments = ("CD", "rosenbrock", *RANGES[:-1], "12", "--steps", "9", "--target", "1e3")
    found = mapped(tmp_path, *arguments, code=130)
    assert found.computed.sum() == 64
    told = capsys.readouterr().out
    assert "interrupted after 64 of them\n100.0% reached E <= 1000, 0.0%" in told
    axes = plot_map(found)
    texts = [text.get_text() for text in axes[2].figure.axes[-1].get_yticklabels()]
    assert texts == ["reached\n100%", "not reached\n0%", "overflow\n0%"]
    plt.close("all")


@pytest.mark.parametrize("terminal", [True, False])
def test_it_says_what_it_takes_and_what_computes(terminal, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    arguments = ("CD", "rosenbrock", *RANGES, "--steps", "20", "--starts", "2")
    mapped(tmp_path, *arguments)
    told = (
        "50 trajectories (5 × 5 × 2 starts) of 2 coordinates: 20 steps each, 1e+03 in all; memory"
    )
    line, *rest = capsys.readouterr().err.splitlines()
    assert told in line and line.endswith("MiB; computed by torch on cpu")
    assert bool(rest) == terminal  # the bar
    mapped(tmp_path, *arguments)  # all is computed already
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_every_panel_has_the_same_limits():
    """Also one in which nothing is known; the cells reach half a step beyond the values."""
    grid = {"gamma": [0.1, 1.0], "c": [1.0, 100.0]}
    found = ensemble(
        CD, Rosenbrock(2), grid=grid, step=0.1, steps=5, backend="torch",
        reduce=[TimeToTarget(1e-300), FittedRate(after=1e3)],
    )  # fmt: skip
    assert np.isnan(found["rate"]).all() and np.isnan(found["time_to_target"]).all()
    for ax in plot_map(found):
        assert ax.get_xlim() == pytest.approx((0.1 / 10**0.5, 10**0.5), rel=1e-12)
        assert ax.get_ylim() == pytest.approx((0.1, 1e3), rel=1e-12)
    plt.close("all")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_figure(ending, tmp_path, capsys):
    out = tmp_path / f"map.{ending}"
    arguments = ["CD", "rosenbrock", *RANGES, "--steps", "20", "--output", str(out)]
    assert main(["map", *arguments]) == 0
    assert out.stat().st_size > 0 and f"{out} written" in capsys.readouterr().out


def drawn(ax, which=0):
    """The numbers of a panel, [up, across]."""
    return np.ma.filled(ax.collections[which].get_array(), np.nan)


def test_the_figure_shows_the_medians_and_the_worst_outcome():
    """At h√L = 3 > √(2(1+β)/β), β = e^(−γh), all overflows but the minimum, where nothing moves.

    An eigenvalue of its step is −2.05 or more: 1500 steps are 468 decades.
    """
    call = {"grid": {"gamma": [0.25, 0.3], "step": [0.1, 0.2, 3.0]}, "steps": 1500}
    call |= {"reduce": [TimeToTarget(1e-6), FittedRate()], "every": 1, "backend": "torch"}
    x0 = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    found = ensemble(LDHD, Quadratic(1.0), x0, **call)
    axes = plot_map(found, target=1e-6)
    shown = [drawn(ax) for ax in axes]
    times = found["time_to_target"]
    assert (times[..., 0] == 0).all() and (times[:, :2, 1] < times[:, :2, 2]).all()
    assert shown[0][:2].tolist() == times[:, :2, 1].T.tolist()
    assert np.isnan(shown[0][2]).all() and np.isnan(shown[1][2]).all()  # most never arrive
    # the start in the minimum has arrived, without a rate: faster than any other
    assert shown[1][:2].tolist() == found["rate"][:, :2, 1:].max(-1).T.tolist()
    assert shown[2].tolist() == [[0, 0], [0, 0], [2, 2]]
    assert (axes[0].get_xscale(), axes[0].get_yscale()) == ("log", "log")
    assert "E ≤ 1e-06" in axes[0].get_title() and "γ" in axes[0].get_xlabel()
    assert "step size h" in axes[0].get_ylabel()
    bar = axes[0].figure.axes[3].yaxis  # times of 50 to 60, say: numbers, not powers of ten
    assert all(float(label.get_text()) > 1 for label in bar.get_ticklabels())
    texts = [text.get_text() for text in axes[2].figure.axes[-1].get_yticklabels()]
    assert texts == ["reached\n78%", "not reached\n0%", "overflow\n22%"]  # of 18: 14 and 4
    assert (
        axes[2].figure.axes[-1].get_ylabel() == "colour: worst of 3 starts; % of all trajectories"
    )
    assert summary(found, 1e-6)[1] == "77.8% reached E <= 1e-06, 22.2% were lost to overflow"
    with pytest.raises(ValueError, match=r"times to E <= 1e-06, not to 0\.1; leave"):
        plot_map(found, target=0.1)
    assert "E ≤ 1e-06" in plot_map(found)[0].get_title()
    plt.close("all")


def shown_of(rates, times, stopped_at, *, computed=None, error=None, r2=None, **settings):
    """The panels of a map of two by two, with one or more starts: results are [2, 2, starts]."""
    rates, times = np.asarray(rates, float), np.asarray(times, float)
    values = {"rate": rates, "time_to_target": times, "stopped_at": np.asarray(stopped_at)}
    values["rate_error"] = np.zeros(rates.shape) if error is None else np.asarray(error)
    values["rate_r2"] = np.ones(rates.shape) if r2 is None else np.asarray(r2)
    values["computed"] = np.ones(rates.shape, bool) if computed is None else computed
    axes = {"gamma": np.array([1.0, 2.0]), "c": np.array([1.0, 2.0])}
    axes["start"] = np.arange(rates.shape[-1])
    call = {"steps": [9], "step": 0.1} | settings
    return plot_map(Ensemble(axes, values, np.arange(10.0), call))


def test_a_median_counts_those_that_never_arrive():
    """Of three starts: two arrive, one does, none does; and two of three that decay at once."""
    nan = np.nan
    times = [[[1, 2, nan], [1, nan, nan]], [[nan, nan, nan], [0.1, 0.1, 5]]]
    rates = [[[3, 1, 0], [3, 0, nan]], [[-1, 0, 2], [nan, nan, 1]]]
    stopped = [[[-1, -1, -1], [-1, -1, 4]], [[-1, -1, -1], [-1, -1, -1]]]
    axes = shown_of(rates, times, stopped)
    assert np.array_equal(drawn(axes[0]).T, [[2, nan], [nan, 0.1]], equal_nan=True)
    assert np.array_equal(drawn(axes[1]).T, [[1, nan], [nan, nan]], equal_nan=True)
    too_fast = drawn(axes[1], 1)
    assert np.array_equal(too_fast.T, [[nan, nan], [nan, 0]], equal_nan=True)
    assert "too fast to measure" in axes[0].figure.get_supxlabel().replace("\n", " ")
    plt.close("all")


def test_a_rate_that_is_noise_is_not_drawn():
    """Below two standard errors, of a line that explains little, or of E that does not change."""
    nan = np.nan
    rates, error = [[[1.0], [1e-9]], [[1e-3], [0.0]]], [[[0.5], [0.51e-9]], [[1e-9], [0.0]]]
    axes = shown_of(rates, [[[nan]] * 2] * 2, [[[-1]] * 2] * 2, error=error,
                    r2=[[[0.5], [0.9]], [[0.49], [nan]]])  # fmt: skip
    assert np.array_equal(drawn(axes[1]).T, [[1.0, nan], [nan, nan]], equal_nan=True)
    assert "no decay measured" in axes[0].figure.get_supxlabel().replace("\n", " ")
    plt.close("all")


def test_some_are_never_told_as_none():
    parts = (0.0, 0.0009, 0.001, 0.5, 0.9995, 1.0)
    told = ["0.0%", "< 0.1%", "0.1%", "50.0%", "> 99.9%", "100.0%"]
    assert [share(part, 1) for part in parts] == told
    assert [share(part) for part in parts[:3]] == ["0%", "< 1%", "< 1%"]


def test_a_file_is_loaded_first():
    with pytest.raises(TypeError, match=r"Ensemble\.load\('map\.npz'\)"):
        plot_map("map.npz")  # type: ignore[arg-type]


def test_what_was_lost_after_it_arrived_has_no_time():
    """E(0) = 50.5 is below the target; with h√L = 10 it overflows."""
    grid = {"gamma": [0.1, 1.0], "step": [0.01, 1.0]}
    found = ensemble(
        LDHD, Quadratic([1.0, 100.0]), grid=grid, steps=500, backend="torch",
        reduce=[TimeToTarget(100.0), FittedRate()],
    )  # fmt: skip
    assert (found["time_to_target"] == 0).all() and (found.stopped_at[:, 1] >= 0).all()
    assert np.isnan(drawn(plot_map(found)[0])).tolist() == [[False] * 2, [True] * 2]
    found.stopped_at[0, 0] = 9
    assert "soonest at t = 0: gamma = 1, step = 0.01" in summary(found, 100.0)[-1]
    plt.close("all")


def test_with_noise_there_is_no_rate_to_show():
    one = np.ones((2, 2, 1))
    for temperature, told in ((0.5, ["with noise at T > 0\nE does not decay to 0"]), (0.0, [])):
        settings = {"noise": {"seed": 0}, "hyperparameters": {"temperature": temperature}}
        panel = shown_of(one, one, -one, **settings)[1]
        assert [text.get_text() for text in panel.texts] == told
    plt.close("all")


def test_a_figure_of_a_part_says_so():
    one, part = np.ones((2, 2, 1)), np.array([[[True], [False]], [[True], [True]]])
    axes = shown_of(one, one, -one, computed=part)
    assert "Interrupted: 3 of 4 are computed." in axes[0].figure.get_supxlabel().replace("\n", " ")
    plt.close("all")


def test_a_figure_needs_two_axes_and_the_results():
    call = {"step": 0.1, "steps": 5, "backend": "torch"}
    two = {"gamma": [0.1, 1.0], "c": [1.0, 2.0]}
    results = [TimeToTarget(1.0), FittedRate()]
    with pytest.raises(ValueError, match=r"needs the result 'rate'.*FittedRate"):
        plot_map(ensemble(CD, Rosenbrock(2), grid=two, reduce=results[:1], **call))
    with pytest.raises(ValueError, match="two axes of the grid have several values; here gamma"):
        one = {**two, "c": [1.0]}
        plot_map(ensemble(CD, Rosenbrock(2), grid=one, reduce=results, **call))
    with pytest.raises(ValueError, match="increasing values of c"):
        wrong = {**two, "c": [2.0, 1.0]}
        plot_map(ensemble(CD, Rosenbrock(2), grid=wrong, reduce=results, **call))


def test_every_dynamics_and_every_landscape(tmp_path):
    """One step on a map of two by two; the second axis is a hyperparameter or the step size."""
    for number, (name, takes) in enumerate(named_dynamics().items()):
        axes = [*takes[:1], "step"] if takes else ["step"]
        if len(axes) < 2:
            continue
        ranges = [word for axis in axes for word in (f"--{axis}", "0.01:0.1")]
        out = str(tmp_path / f"{number}.npz")
        call = ["map", name, "quadratic", *ranges, "--points", "2", "--steps", "1"]
        assert main([*call, "--backend", "torch", "--output", out]) == 0
        assert Ensemble.load(out).computed.all()
    for name in (*ANY, *ONE, "lj4", "morse5"):
        assert landscape(name).dimension >= 1
    assert landscape("lj5").dimension == 15
    assert landscape("rosenbrock", 7).dimension == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("CD", "rosenbrock"), "two axes.*a:b.*here none.*dashpot map CD rosenbrock --gamma 1e-3"),
        (("CD", "rosenbrock", "--gamma", "1:2"), "two axes.*here --gamma"),
        (("CD", "rosenbrok", *RANGES), "no landscape 'rosenbrok'.*did you mean rosenbrock"),
        (("CD", "lj1", *RANGES), "LennardJones must be an integer >= 2; got 1"),
        (("cd", "rosenbrock", *RANGES), "no dynamics 'cd'.*did you mean CD"),
        (("LDHD", "rosenbrock", *RANGES), r"LDHD has no --c; it has --gamma, --step"),
        (
            ("CD", "rosenbrock", *RANGES, "--gamma", "2:1"),
            "--gamma must be.*got '2:1': the smaller end",
        ),
        (("CD", "rosenbrock", *RANGES, "--gamma", "0:1"), "--gamma must be.*'0:1': .*logarithmic"),
        (
            ("CD", "rosenbrock", *RANGES, "--output", f"{__file__}/map.png"),
            "--output.*Not a directory",
        ),
        (("CD", "rosenbrock", *RANGES, "--gamma", "1:2:3"), "--gamma must be.*'1:2:3'"),
        (("CD", "rosenbrock", *RANGES, "--gamma", "much"), "--gamma must be a number.*'much'"),
        (("CD", "rosenbrock", *RANGES, "--step=-1"), r"--step \(or --lr\) must be > 0; got '-1'"),
        (("CD", "morse13", *RANGES), "morse13 has no known minimum.*such as lj13"),
        (("KFAD", "rosenbrock", "--gamma", "1:2", "--mu", "1:2", "--alpha", "-1"), "alpha.*>= 0"),
        (("CD", "rosenbrock", *RANGES, "--points", "1"), "--points must be a whole number >= 2"),
        (("CD", "rosenbrock", *RANGES, "--steps", "0"), "--steps must be a whole number >= 1"),
        (("CD", "rosenbrock", *RANGES, "--steps", "9", "--until", "9"), "--steps or --until"),
        (("CD", "rosenbrock", *RANGES, "--target", "0"), "--target must be a finite number > 0"),
        (("CD", "rosenbrock", *RANGES, "--word", "BAX"), "'X'.*position 3"),
        (("CD", "rosenbrock", *RANGES, "--output", "map.txt"), "--output must.*got map.txt"),
        (("CD", "himmelblau", *RANGES, "--dimension", "3"), "--dimension goes with rosenbrock"),
        (("CD", "rosenbrock", *RANGES, "--dimension", "1"), "--dimension of rosenbrock"),
        (("CD", "rosenbrock", *RANGES, "--gama", "1:2"), "--gama"),
        (("CD", "rosenbrock", *RANGES, "--device", "cuda:9999"), "--device cuda:9999: torch finds"),
        (("CD", "rosenbrock", *RANGES, "--device", "tpu"), "--device must be cpu or cuda; got tpu"),
        (
            ("CD", "rosenbrock", *RANGES, "--points", "100000"),
            "10000000000 trajectories .100000 × 100000. need 522 GiB.*fewer --points",
        ),
        (("CD", "rosenbrock", *RANGES, "--points", str(10**30)), "need .* GiB"),
        (
            ("CD", "rosenbrock", *RANGES, "--dimension", "1000000", "--starts", "10000"),
            "250000 trajectories .5 × 5 × 10000 starts. need 79.3 GiB",
        ),
        (
            ("CD", "rosenbrock", *RANGES, "--dimension", str(10**12)),
            "--dimension of rosen.* at most",
        ),
        (("CD", "lj99999", *RANGES), r"lj99999 has 5e\+09 pairs.*1000 atoms at most"),
        (
            ("CD", "rosenbrock", *RANGES, "--until", "1e18"),
            r"25 trajectories .5 × 5. of 2 coordinates: 1e\+20 steps each, 2.5e\+21 in all.*years",
        ),
        (("CD", "rosenbrock", *RANGES, "--steps", str(10**20)), r"1e\+20 steps each"),
        (("CD", "rosenbrock", *RANGES, "--step", "1e-320"), "for ever"),
    ],
)
def test_bad_calls(arguments, words, capsys):
    assert main(["map", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("dashpot: ") and len(shown.splitlines()) == 1
    assert re.search(words, shown), shown
