"""The table of a noisy dynamics' words: each law is that of its closed form."""

import math

import pytest

from dashpot.analysis import sampling_table, sampling_words
from dashpot.analysis.__main__ import main
from dashpot.dynamics import CD, CubicLangevin, Langevin, OverdampedLangevin

H, GAMMA, T = 0.5, 0.8, 0.7
BETA = math.exp(-GAMMA * H)
KNOWN = {  # ⟨x²⟩k/T and ⟨p²⟩/T at k = 1
    "BAOAB": (1, 1 - H * H / 4),
    "ABOBA": (1, 1 / (1 - H * H / 4)),
    "OBABO": (1 / (1 - H * H / 4), 1),
    "OABAO": (1 - H * H / 4, 1),
    "OBA": ((1 + BETA) ** 2 / (2 * (1 + BETA) - H * H), 2 * (1 + BETA) / (2 * (1 + BETA) - H * H)),
}


def test_every_word_of_langevin_dynamics_with_one_gradient() -> None:
    found = {one.word: one for one in sampling_words(Langevin(GAMMA, T), step=H)}
    lie = {"BAO", "BOA", "AOB", "ABO", "OAB", "OBA", "BU", "UB"}
    palindromes = {"BAOAB", "OABAO", "ABOBA", "OBABO", "BOAOB", "AOBOA", "UBU", "BUB"}
    assert set(found) == lie | palindromes
    for name, one in found.items():
        assert one.gradients == 1
        assert one.weak_order == (2 if name in palindromes else 1)
        if name in KNOWN:
            assert (one.x2, one.p2) == pytest.approx(KNOWN[name], rel=1e-12)
    # words of one cycle share stability
    assert found["BAOAB"].stability_limit == found["OABAO"].stability_limit


def test_overdamped_words() -> None:
    """FN: ⟨x²⟩ = T/(1 − h/2); NF has that before the noise of the next step, (1 − h)² of it."""
    found = {one.word: one for one in sampling_words(OverdampedLangevin(T), step=H)}
    assert found["FN"].x2 == pytest.approx(1 / (1 - H / 2), rel=1e-12)
    assert found["NF"].x2 == pytest.approx((1 - H) ** 2 / (1 - H / 2), rel=1e-12)
    assert math.isnan(found["FN"].p2)
    # Euler's method, 1 − hL > −1
    assert found["FN"].stability_limit == pytest.approx(2.0, rel=1e-9)
    table = sampling_table(list(found.values()))
    assert "| stable to hL |" in table
    assert "| FN   | 1          | 1         | 2.0000       |" in table


def test_only_noisy_dynamics_that_are_linear_on_a_quadratic() -> None:
    with pytest.raises(ValueError, match=r"CD has no noise; dashpot\.analysis\.search"):
        sampling_words(CD(0.1, 0.1))
    with pytest.raises(ValueError, match="CubicLangevin"):
        sampling_words(CubicLangevin(0.1, 0.1, 1.0))


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["word", "--dynamics", "Langevin", "--step", "0.5", "--gamma", "0.8"]) == 0
    table = capsys.readouterr().out
    assert "| BAOAB | 2          | 1         | 2.0000        | 1.000000 | 0.937500 |" in table
    assert "stable to h√L" in table
    assert main(["word", "FN", "--dynamics", "OverdampedLangevin", "--step", "0.05"]) == 0
    told = capsys.readouterr().out
    assert "stable for   hL < 2.0000" in told and "L < 40 at h = 0.05" in told
    assert main(["word", "OBABO", "--dynamics", "Langevin", "--step", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "weak order   2, error of a step" in told
    assert "⟨x²⟩ = 1.06667 T, ⟨p²⟩ = 1 T" in told
    assert "noise=1)" in told
    assert main(["word", "--dynamics", "CubicLangevin"]) == 2
    assert "name one, such as dashpot word BACMCOCMCAB" in capsys.readouterr().err
    assert main(["word", "BACMCOCMCAB", "--dynamics", "CubicLangevin"]) == 0
    assert "no law and no stability known" in capsys.readouterr().out
    assert main(["word", "BAOAB", "--dynamics", "Langevin", "--temperature=-1"]) == 2
    assert "temperature must be a finite number >= 0; got -1.0" in capsys.readouterr().err
