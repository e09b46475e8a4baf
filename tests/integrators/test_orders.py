"""Orders of the words, measured by halving h against an adaptive reference, and proved."""

import pytest
from problems import CATALOGUE, measured_order

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from dashpot.integrators import Word

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
    assert Word(word, dynamics).order().order == 1


@pytest.mark.parametrize(("dynamics", "word"), SECOND, ids=name)
def test_order_two(dynamics: Dynamics, word: str) -> None:
    assert measured_order(dynamics, word) == pytest.approx(2.0, abs=0.07)
    assert Word(word, dynamics).order().order == 2


def test_written_fractions_can_break_or_keep_the_order() -> None:
    """Quarters in mirror order keep order 2; moved to one end they do not."""
    assert measured_order(ldhd, "B:1/4DAB:1/2ADB:1/4") == pytest.approx(2.0, abs=0.07)
    crooked = measured_order(ldhd, "B:1/4DADB:3/4", steps=(256, 512, 1024))
    assert crooked == pytest.approx(1.0, abs=0.07)


FOURTH = [
    *((ldhd, f"{jump}(BADAB)") for jump in ("yoshida", "suzuki")),
    *((made, f"{jump}(BCDADCB)") for made in (cd, ikfad) for jump in ("yoshida", "suzuki")),
    (kfad, "suzuki(symmetrize(BCDA))"),
    (cadam, "suzuki(EBCDADCBE)"),
]


@pytest.mark.parametrize(("dynamics", "word"), FOURTH, ids=name)
def test_order_four(dynamics: Dynamics, word: str) -> None:
    """Negative substeps included; the weights have 60 digits."""
    assert Word(word, dynamics).order().order == 4
    measured = measured_order(dynamics, word, steps=(16, 32, 64))
    assert measured == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=name)
@pytest.mark.parametrize("text", ["{}", "adjoint({})", "symmetrize({})"])
def test_measured_and_proved_orders_of_the_default_words_agree(
    dynamics: Dynamics, text: str
) -> None:
    word = Word(text.format(dynamics.word), dynamics)
    steps = (64, 128, 256) if word.is_symmetric else (256, 512, 1024)
    measured = measured_order(dynamics, word.text, steps=steps)
    assert measured == pytest.approx(word.order().order, abs=0.1)


def test_order_six_by_two_jumps() -> None:
    """Between the larger terms of coarse steps and the round-off of fine ones (2e-9 to 9e-6)."""
    measured = measured_order(ldhd, "yoshida(yoshida(BADAB))", steps=(8, 16, 32))
    assert measured == pytest.approx(6.0, abs=0.15)


def test_two_symmetric_halves_in_a_row_keep_the_order() -> None:
    for word in ("BDACCADB", "symmetrize(BDAC)"):
        assert measured_order(ikfad, word) == pytest.approx(2.0, abs=0.07)
        assert Word(word, ikfad).order().order == 2
