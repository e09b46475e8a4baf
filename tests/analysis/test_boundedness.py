"""Which words keep a stiff quadratic mode within bounds, and which learning rates a network."""

import math

import pytest

from dashpot.analysis.ladder import learning_rate_ladder
from dashpot.analysis.stability.large_steps import LADDER, boundedness
from dashpot.analysis.training.digits import train, tuned
from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from dashpot.integrators import Word, simulate
from dashpot.landscapes import Quadratic

CUBIC = CD(0.1, c=100.0)
ADAPTIVE = IKFAD(0.1, alpha=1.0, mu=0.01)  # c = 1/(αμ) = 100


def limit(dynamics: Dynamics, word: str) -> float:
    return boundedness(Word(word, dynamics)).limit


@pytest.mark.parametrize("dynamics", [CUBIC, ADAPTIVE, KFAD(0.1, alpha=1.0, mu=0.01)])
@pytest.mark.parametrize("word", ["BCDA", "BCAD", "BDCA", "BCDADCB", "BDCACDB", "ACDBDCA"])
def test_friction_between_every_kick_and_the_next_drift_bounds_every_step(dynamics, word):
    assert limit(dynamics, word) == max(LADDER) == 30


@pytest.mark.parametrize("dynamics", [CUBIC, ADAPTIVE])
@pytest.mark.parametrize("word", ["BACD", "BADC", "ACBD", "BDAC"])
def test_a_drift_with_the_whole_kick_is_gradient_descent(dynamics, word):
    """x ← x − h²L x once |x| is large: lost above h√L = √2 = 1.414."""
    assert limit(dynamics, word) == 1.4


@pytest.mark.parametrize("dynamics", [CUBIC, ADAPTIVE])
@pytest.mark.parametrize("word", ["BACDCAB", "DCBABCD"])
def test_half_a_drift_with_the_whole_kick_is_lost_above_2(dynamics, word):
    """And a drift with half the kick: x ← x − ½h²L x between two frictions."""
    assert limit(dynamics, word) == 1.9


def test_damping_in_between_moves_the_limit():
    """In ACBD the kick is damped by β before it drifts: lost above h√L = √(2/β), 2 at β = ½."""
    damped = CD(math.log(2) / 0.1, c=100.0)
    assert limit(damped, "ACBD") == limit(damped, "BDAC") == 1.9
    assert limit(damped, "BACD") == 1.4


def test_cubic_damping_loses_what_linear_damping_keeps():
    """BACD from x₀ = 1 at h√L = 1.5, where heavy ball converges; BCDA stays within x₀ at 10."""
    h, start = 0.1, {"x": [1.0]}
    ball = simulate(LDHD(0.1), Quadratic((1.5 / h) ** 2), start, step=h, steps=5000, word="BAD")
    assert ball["x"][-1].abs().item() < 1e-9  # e^{−γt/2} = e^{−25}
    lost = simulate(CUBIC, Quadratic((1.5 / h) ** 2), start, step=h, steps=5000, word="BACD")
    assert lost.status == "diverged"
    kept = simulate(CUBIC, Quadratic((10 / h) ** 2), start, step=h, steps=5000, word="BCDA")
    assert kept.status == "finished"
    assert kept["x"][100:].abs().max().item() < 1
    moves = kept["x"].diff(dim=0).abs().max().item()
    assert moves <= math.sqrt(h / (2 * 100)) * (1 + 1e-12)


def test_small_starts_are_kept_where_the_cap_is_not_felt():
    """At c = 1 the cap 1/√(2ch) = 2.2 is above the kicks from 0.3, not above those from 10."""
    found = boundedness(Word("BACD", CD(0.1, c=1.0)), ladder=[1.5], starts=[0.3, 10.0])
    assert found.bounded == ((True, False),)
    assert found.limit == 0.0


def test_linear_words_are_bounded_where_they_are_stable():
    for word in ("BAD", "BDA", "BADAB"):
        assert limit(LDHD(0.1), word) == 1.9


def test_the_normalised_drift_of_cadam_bounds_its_published_word_too():
    assert limit(CADAM(0.1, alpha=0.1, c=100.0), "BEACD") == 30


def test_the_ladder_is_checked():
    word = Word("BCDA", CUBIC)
    for bad in ([], [1.0, 0.5], [0.0, 1.0], [math.nan]):
        with pytest.raises(ValueError, match="ladder must be numbers > 0"):
            boundedness(word, ladder=bad)
        with pytest.raises(ValueError, match="starts must be numbers > 0"):
            boundedness(word, starts=bad)
    with pytest.raises(ValueError, match="stands alone"):
        boundedness(Word("BCDA"))


# --- on a network ---------------------------------------------------------------------------------


def test_on_a_network_the_published_word_is_lost_and_the_other_is_not():
    rows = learning_rate_ladder(factors=(1.0, 8.0), seeds=(0,), epochs=5)
    status = {(row.word, row.factor): row.status for row in rows}
    assert status == {
        ("BACD", 1.0): "finished",
        ("BACD", 8.0): "lost",
        ("BCDA", 1.0): "finished",
        ("BCDA", 8.0): "finished",
    }
    for row in rows:
        assert (row.train_loss > row.untrained_loss) == (row.status == "lost")
        assert row.untrained_loss == pytest.approx(math.log(10), abs=0.2)


def test_train_takes_a_word():
    kept = tuned("CD")
    default = train("CD", kept, 0, epochs=1)
    assert train("CD", kept, 0, epochs=1, word="BACD").losses == default.losses
    assert train("CD", kept, 0, epochs=1, word="BCDA").losses != default.losses
    with pytest.raises(ValueError, match="SGD has no word"):
        train("SGD", tuned("SGD"), 0, epochs=1, word="BDA")


def test_a_jump_that_no_start_survives_is_not_bounded() -> None:
    word = Word("yoshida(BCDADCB)", CD(0.1, 100.0))
    assert boundedness(word, ladder=[10.0], starts=[1.0]).limit == 0
