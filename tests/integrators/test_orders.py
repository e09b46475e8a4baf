"""Orders of the words, measured by halving h against an adaptive reference."""

import pytest
from problems import measured_order

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics

ldhd = LDHD(gamma=0.7)
cd = CD(gamma=0.4, c=0.8)
kfad = KFAD(gamma=0.4, alpha=0.7, mu=0.9)
ikfad = IKFAD(gamma=0.4, alpha=0.7, mu=0.9)
cadam = CADAM(gamma=0.5, alpha=0.6, c=0.5, eps=0.1)

FIRST = [
    *((ldhd, word) for word in ("BAD", "DBA", "BDA", "BABD")),
    *((cd, word) for word in ("BACD", "ACBD", "BCDA", "BGA")),
    *((made, word) for made in (kfad, ikfad) for word in ("BACD", "BCDA")),
    *((cadam, word) for word in ("BCADE", "BEACD", "BECDA")),
]
SECOND = [
    *((ldhd, word) for word in ("DBABD", "BADAB", "ABDBA", "BDADB", "ADBDA")),
    *((cd, word) for word in ("BACDCAB", "BCDADCB", "BAGAB", "BGAGB", "DCBABCD")),
    *((made, w) for made in (kfad, ikfad) for w in ("BACDCAB", "BCDADCB", "DCBABCD")),
    (IKFAD(0.4, 0.7, 0.9, scheme="rotation"), "BCDADCB"),
    (KFAD(0.4, 0.7, 0.9, scheme="rotation"), "BCDADCB"),
    *((cadam, word) for word in ("EBCDADCBE", "AEBCDCBEA", "BCADEDACB", "ABCDEDCBA")),
]


def name(value: object) -> str:
    return value.name if isinstance(value, Dynamics) else str(value)


@pytest.mark.parametrize(("dynamics", "word"), FIRST, ids=name)
def test_order_one(dynamics: Dynamics, word: str) -> None:
    steps = (256, 512, 1024)  # the next term of the error is of relative size h
    assert measured_order(dynamics, word, steps=steps) == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize(("dynamics", "word"), SECOND, ids=name)
def test_order_two(dynamics: Dynamics, word: str) -> None:
    assert measured_order(dynamics, word) == pytest.approx(2.0, abs=0.07)


def test_written_fractions_can_break_or_keep_the_order() -> None:
    """Quarters in mirror order keep order 2; moved to one end they do not."""
    assert measured_order(ldhd, "B:1/4DAB:1/2ADB:1/4") == pytest.approx(2.0, abs=0.07)
    crooked = measured_order(ldhd, "B:1/4DADB:3/4", steps=(256, 512, 1024))
    assert crooked == pytest.approx(1.0, abs=0.07)


def test_order_four_by_yoshida_fractions() -> None:
    """w1 = 1/(2 − 2^{1/3}), w0 = 1 − 2 w1; exact flows run backwards in the middle."""
    w1 = 1 / (2 - 2 ** (1 / 3))
    w0 = 1 - 2 * w1
    stages = [f"B:{w / 2!r}D:{w / 2!r}A:{w!r}D:{w / 2!r}B:{w / 2!r}" for w in (w1, w0, w1)]
    word = "".join(stages)
    assert measured_order(ldhd, word, steps=(8, 16, 32)) == pytest.approx(4.0, abs=0.15)
