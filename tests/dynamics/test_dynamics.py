"""Putting parts together: variables, letters, default words, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from problems import CATALOGUE

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    BiasCorrectedDrift,
    Clock,
    CubicDamping,
    CubicLinearDamping,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    Part,
    SecondMoment,
    State,
    WeightDecay,
)


def test_variables_x_first() -> None:
    assert LDHD(0.1).variables == ("x", "p")
    assert IKFAD(0.1, 0.2, 0.3).variables == ("x", "p", "xi")
    assert IKFAD(0.1, 0.2, 0.3).scalars == ()
    assert KFAD(0.1, 0.2, 0.3).scalars == ("xi",)
    assert set(CADAM(0.1, 0.2, 0.3).variables) == {"x", "p", "zeta"}
    corrected = CADAM(0.1, 0.2, 0.3, bias_correction=True)
    assert set(corrected.variables) == {"x", "p", "zeta", "t"}
    assert corrected.scalars == ("t",)


def test_a_combined_part_provides_its_summands() -> None:
    cd = CD(gamma=0.3, c=0.8)
    assert set(cd.parts) == set("ABCD")
    assert set(cd.letters) == set("ABCDG")
    assert cd.parts["C"] == CubicDamping(0.8)
    assert cd.parts["D"] == LinearDamping(0.3)
    assert cd.combined["G"] == CubicLinearDamping(0.3, 0.8)


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (LDHD(0.1), "BDA"),
        (CD(0.1, 1.0), "BACD"),
        (KFAD(0.1, 0.1, 1.0), "BACD"),
        (IKFAD(0.1, 0.1, 1.0), "BACD"),
        (CADAM(0.1, 0.1, 1.0), "BEACD"),
        (CADAM(0.1, 0.1, 1.0, bias_correction=True), "BETACD"),
        (Dynamics(Drift(), LinearDamping(0.1), Kick()), "BDA"),
        (Dynamics(Drift(), Kick(), word="AB"), "AB"),
    ],
)
def test_default_words(made: Dynamics, word: str) -> None:
    assert made.word == word


def test_default_word_of_ones_own_dynamics_kicks_first_and_drifts_last() -> None:
    mine = Dynamics(WeightDecay(0.1), Drift(), SecondMoment(0.1), LinearDamping(0.1), Kick())
    word = mine.word
    assert set(word) == set(mine.parts)
    assert max(word.index("B"), word.index("E")) < word.index("D")
    assert word.index("D") < min(word.index("A"), word.index("W"))


@pytest.mark.parametrize("made", CATALOGUE, ids=lambda d: d.name)
def test_rate_is_the_sum_of_the_parts(made: Dynamics) -> None:
    s = random_state(made)
    rates = made.rate(s)
    for name in made.variables:
        expected = sum(part.rate(s).get(name, 0.0) for part in made.parts.values())
        torch.testing.assert_close(rates[name], expected, rtol=1e-14, atol=1e-14)


def test_rates_are_the_published_equations() -> None:
    s = State({n: torch.tensor([v], dtype=torch.float64) for n, v in
               {"x": 0.3, "p": -0.7, "xi": 0.4, "zeta": 0.25, "g": 1.1}.items()})  # fmt: skip
    x, p, xi, zeta, g = -0.7, -0.7, 0.4, 0.25, 1.1
    expected = {
        LDHD(0.2): {"x": x, "p": -g - 0.2 * p},
        CD(0.2, 3.0): {"x": x, "p": -g - 0.2 * p - 3.0 * p**3},
        IKFAD(0.2, 0.6, 0.5): {"x": x, "p": -g - (0.2 + xi) * p, "xi": p**2 / 0.5 - 0.6 * xi},
        CADAM(0.2, 0.6, 3.0, 0.1): {
            "x": p / (0.5 + 0.1),
            "p": -g - 0.2 * p - 3.0 * p**3,
            "zeta": g**2 - 0.6 * zeta,
        },
    }
    for made, rates in expected.items():
        got = {name: value.item() for name, value in made.rate(s).items()}
        assert got == pytest.approx(rates, rel=1e-15), made


def test_repr_shows_name_and_values() -> None:
    assert repr(CD(gamma=0.5, c=2.0)) == "CD(gamma=0.5, c=2.0)"
    assert "LinearDamping(gamma=0.1)" in repr(Dynamics(Drift(), Kick(), LinearDamping(0.1)))


def test_with_part_leaves_the_original_alone() -> None:
    plain = LDHD(0.1)
    extended = plain.with_part(WeightDecay(0.2))
    assert "W" not in plain.parts
    assert "W" in extended.parts
    assert extended.word == plain.word


def test_two_parts_of_one_letter() -> None:
    with pytest.raises(ValueError, match=r"two parts have the letter D: .*0\.1.*0\.2.*another"):
        Dynamics(Drift(), Kick(), LinearDamping(0.1), LinearDamping(0.2))
    with pytest.raises(ValueError, match="two parts have the letter C"):
        Dynamics(Drift(), Kick(), CubicLinearDamping(0.1, 1.0), CubicDamping(2.0))


def test_one_name_with_two_values() -> None:
    with pytest.raises(ValueError, match=r"gamma is 0\.1 in .* and 0\.2 in .*; give both the same"):
        Dynamics(BiasCorrectedDrift(1e-8, 0.1, 0.5), Kick(), LinearDamping(0.2), Clock())
    shared = Dynamics(BiasCorrectedDrift(1e-8, 0.2, 0.5), Kick(), LinearDamping(0.2), Clock())
    assert shared.hyperparameters["gamma"] == 0.2


def test_nothing_moves_x() -> None:
    with pytest.raises(ValueError, match=r"no part moves x; add Drift\(\)"):
        Dynamics(Kick(), LinearDamping(0.1))


@pytest.mark.parametrize("wrong", [Drift, LDHD(0.1), "A", None])
def test_something_that_is_not_a_part(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Dynamics takes parts such as Drift\(.*\); got "):
        Dynamics(wrong, Kick())


@pytest.mark.parametrize("letter", ["", "a", "AB", "Ä", "1"])
def test_a_letter_is_one_capital(letter: str) -> None:
    with pytest.raises(TypeError, match="letter must be one capital A to Z"):
        type("Wrong", (Part,), {"letter": letter, "reads": ("p",), "writes": ("p",)})


def test_declarations_are_needed_and_are_tuples() -> None:
    with pytest.raises(TypeError, match="Wrong must declare `reads`"):
        type("Wrong", (Part,), {"letter": "Q", "writes": ("p",)})
    with pytest.raises(TypeError, match=r"writes must be a tuple of names such as \(\"p\",\)"):
        type("Wrong", (Part,), {"letter": "Q", "reads": ("p",), "writes": "p"})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"kind": "symetric"},
            r"kind must be 'exact', 'symmetric' or 'consistent'; got 'symetric'",
        ),
        ({"kind": None}, r"kind must be 'exact', 'symmetric' or 'consistent'; got None"),
        ({"normals": 1.0}, r"normals must be a whole number >= 0; got 1\.0"),
        ({"normals": -1}, r"normals must be a whole number >= 0; got -1"),
        ({"normals": True}, r"normals must be a whole number >= 0; got True"),
        ({"reversible": "no"}, r"reversible must be True or False; got 'no'"),
    ],
)
def test_the_other_declarations_are_checked_with_the_class(
    declared: dict[str, Any], message: str
) -> None:
    """A misspelt kind would be a false proof of order."""
    facts = {"letter": "Q", "reads": ("p",), "writes": ("p",)}
    with pytest.raises(TypeError, match=f"Euler.{message}"):
        type("Euler", (Part,), {**facts, **declared})
    with pytest.raises(TypeError, match=f"Euler.{message}"):
        type("Euler", (LinearDamping,), declared)


def test_a_users_annotated_hyperparameter_is_checked() -> None:
    from dashpot.dynamics import NonNegative

    @dataclass(frozen=True)
    class Own(Part):
        letter, reads, writes = "Q", ("p",), ("p",)
        strength: NonNegative

    with pytest.raises(ValueError, match=r"strength must be a finite number >= 0; got -2.* Own"):
        Own(-2.0)


def test_state_names_what_it_has() -> None:
    s = State({"x": 1.0, "p": 2.0})
    with pytest.raises(AttributeError, match=r"no variable 'xi'; it has x, p"):
        _ = s.xi
    assert s.copy(p=3.0).p == 3.0
    assert s.p == 2.0


def random_state(made: Dynamics) -> State:
    generator = torch.Generator().manual_seed(1)
    shapes = {n: (5,) if n in made.scalars else (3, 5) for n in (*made.variables, "g")}
    return State(
        {
            n: 0.1 + torch.rand(s, generator=generator, dtype=torch.float64)
            for n, s in shapes.items()
        }
    )


def test_a_copy_does_not_look_at_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step of an optimizer binds its dynamics anew."""
    made = CD(0.5, 2.0)

    def refuse(*_: object) -> None:
        raise AssertionError("a copy looked at the signature of its class")

    monkeypatch.setattr("dashpot.dynamics.dynamics.refuse_unknown", refuse)
    assert made.bind({"c": 3.0}).hyperparameters["c"] == 3.0
