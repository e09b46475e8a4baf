"""Runs that are looked at: what is logged, and that nothing else changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import STEPS, Sine, left, same, settings
from torch import nn

from dashpot.analysis.training import log
from dashpot.analysis.training.looks import looking
from dashpot.analysis.training.looks.spells import frozen_spells
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.trainer import train

METHODS = ("CD", "IKFAD", "CADAM", "AdamW", "Muon")


class Normalised(Sine):
    """With dropout, and batch normalisation, whose buffers a forward pass moves."""

    def network(self) -> nn.Module:
        first, *rest = super().network().children()
        return nn.Sequential(first, nn.BatchNorm1d(8, dtype=self._dtype), *rest)


def task() -> Normalised:
    return Normalised(0.3)


def looked(folder: Path) -> list[dict[str, Any]]:
    return [*log.lines(folder, "look")]


@pytest.mark.parametrize("method", METHODS)
def test_looking_changes_nothing(method: str, tmp_path: Path) -> None:
    train(task(), settings(method), tmp_path / "plain")
    train(task(), settings(method, look_every=1, accumulate=2), tmp_path / "parts")
    train(task(), settings(method, look_every=3), tmp_path / "looked")
    plain, seen = left(tmp_path / "plain"), left(tmp_path / "looked")
    seen["log"] = [line for line in seen["log"] if line["kind"] != "look"]
    assert same(plain, seen)
    steps = [line["step"] for line in looked(tmp_path / "looked")]
    assert steps == [*range(0, STEPS, 3)]
    assert len(looked(tmp_path / "parts")) == STEPS


def test_a_look_depends_on_its_step_alone(tmp_path: Path) -> None:
    """A run that was cut off and goes on tells the same as one that was not."""
    given = settings("IKFAD", look_every=2)

    def cut(step: int, _: dict[str, float]) -> None:
        if step >= 15:
            raise RuntimeError("cut off")

    train(task(), given, tmp_path / "whole", checkpoint_every=7)
    with pytest.raises(RuntimeError, match="cut off"):
        train(task(), given, tmp_path / "cut", checkpoint_every=7, progress=cut)
    train(task(), given, tmp_path / "cut", checkpoint_every=7)
    assert looked(tmp_path / "cut") == looked(tmp_path / "whole")
    train(task(), settings("IKFAD", look_every=4), tmp_path / "rarer")
    rarer = [line for line in looked(tmp_path / "rarer") if line["step"]]
    some = {line["step"]: line for line in looked(tmp_path / "whole")}
    for line in rarer:
        assert line == {name: some[line["step"]][name] for name in line}


def test_what_is_told(tmp_path: Path) -> None:
    told: dict[str, list[dict[str, Any]]] = {}
    for method in METHODS:
        train(task(), settings(method, look_every=2), tmp_path / method)
        told[method] = looked(tmp_path / method)
    for method, lines in told.items():
        full = [line for line in lines if "potential" in line]
        assert [line["step"] for line in full] == [0, 2 * looking.FULL]
        assert all(line["coordinates"] == 4 * 8 + 2 * 8 + 9 * 8 + 9 for line in lines)
        assert list(lines[0]["layers"]) == ["0", "1", "2.0.1", "3"]
        assert all(line["noise"]["trace"] > 0 for line in full), method
        assert ("kinetic" in lines[0]) == (method != "Muon")
        assert ("letters" in lines[0]) == (method in ("CD", "IKFAD", "CADAM"))
        assert ("capped" in lines[0]) == (method in ("CD", "CADAM"))
        for line in full:
            if "audit" not in line:
                continue
            # E = f + ½|p|² changes by what all letters do to it
            before, after = line["potential"]
            kinetic = sum(line["letters"].values())
            total = sum(line["audit"].values())
            assert total == pytest.approx(after - before + kinetic, abs=3e-5 * before)
            assert line["step"] or line["audit"]["A"] < 0  # downhill, from rest
        assert full[0]["noise"]["scale"] == 1
    assert told["CD"][0]["audit"]["D"] < 0 < told["CD"][0]["audit"]["B"]
    assert "friction" in told["IKFAD"][0]["layers"]["0"]


def test_the_change_of_f_is_of_the_same_batch_and_the_same_dropout(tmp_path: Path) -> None:
    # At lr 1e-9 the weights stay: with other dropout masks f would differ by some percent.
    given = {"lr": 1e-9, "gamma": 0.5, "c": 3.0}
    train(task(), settings("CD", hyperparameters=given, look_every=1), tmp_path)
    full = [line for line in looked(tmp_path) if "potential" in line]
    assert all(line["audit"]["A"] == pytest.approx(0.0, abs=1e-12) for line in full)
    assert len({line["potential"][0] for line in full}) == len(full)  # another batch each


def test_clipping_scales_the_noise(tmp_path: Path) -> None:
    """The gradient that the step has is as long as the clip; before, it was 1/scale times that."""
    train(Sine(), settings("CD", look_every=2, clip=0.01), tmp_path / "clipped")
    train(Sine(), settings("CD", look_every=2), tmp_path / "free")
    clipped, free = looked(tmp_path / "clipped")[0], looked(tmp_path / "free")[0]
    scale = clipped["noise"]["scale"]
    assert scale < 0.1
    for name, layer in free["layers"].items():
        assert clipped["layers"][name]["gradient"] == pytest.approx(
            scale * layer["gradient"], rel=1e-4
        )
    assert clipped["noise"]["trace"] == free["noise"]["trace"]
    squeezed = clipped["noise"]["temperature"] * clipped["noise"]["friction"]
    assert squeezed == pytest.approx(
        scale**2 * free["noise"]["temperature"] * free["noise"]["friction"], rel=1e-4
    )


@pytest.mark.parametrize(("dtype", "lr"), [(torch.float32, 1e30), (torch.float64, 1e200)])
def test_a_run_that_diverges_is_looked_at_to_its_end(
    dtype: torch.dtype, lr: float, tmp_path: Path
) -> None:
    """Energies overflow before the loss does; what is not finite is told as None."""
    given = settings("CD", hyperparameters={"lr": lr, "gamma": 0.0, "c": 0.0}, clip=1.0)
    plain = train(Sine(dtype=dtype), given, tmp_path / "plain")
    seen = train(Sine(dtype=dtype), replace(given, look_every=1), tmp_path / "seen")
    assert (seen.status, seen.steps) == (plain.status, plain.steps) and plain.status == "diverged"
    assert looked(tmp_path / "seen")[-1]["kinetic"] is None


def test_energies_of_a_run_add_up(tmp_path: Path) -> None:
    """The kinetic energy after a step is that before the next one: no letter is missing."""
    train(Sine(), settings("CD", look_every=1), tmp_path)
    lines = looked(tmp_path)
    energy = 0.0
    for line in lines:
        energy += sum(line["letters"].values())
        assert energy == pytest.approx(line["kinetic"], rel=1e-4)
        by_layer = sum(layer["kinetic"] for layer in line["layers"].values())
        assert by_layer == pytest.approx(line["kinetic"], rel=1e-5)


def test_spells_last_from_look_to_look(tmp_path: Path) -> None:
    written = log.Log(tmp_path)
    for step, watched in ((0, []), (5, [3, 8]), (10, [8]), (15, [8, 3]), (20, [3])):
        written.write("look", step, watched=watched)
    assert list(frozen_spells(tmp_path)) == [
        (3, 5, 5, True),
        (8, 5, 15, True),
        (3, 15, 5, False),
    ]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision(precision: Any, tmp_path: Path) -> None:
    given: Settings = settings("CD", look_every=2, precision=precision)
    train(Sine(dtype=torch.float32), given, tmp_path / precision)
    train(Sine(dtype=torch.float32), settings("CD", look_every=2), tmp_path / "exact")
    near, exact = looked(tmp_path / precision)[0], looked(tmp_path / "exact")[0]
    assert near["noise"]["trace"] == pytest.approx(exact["noise"]["trace"], rel=0.1)
    assert near["kinetic"] == pytest.approx(exact["kinetic"], rel=0.1)
