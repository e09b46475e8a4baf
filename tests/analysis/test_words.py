"""The words of a dynamics, counted a second time by brute force."""

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashpot.analysis.words.bracelets import inequivalent_words, reversed_cut
from dashpot.dynamics import CADAM, CD, IKFAD, LDHD, NAG, Dynamics, GradientFlow, Part, State
from dashpot.integrators import Word

KNOWN = [LDHD(0.1), CD(0.1, c=1.0), IKFAD(0.1, alpha=1.0, mu=1.0), CADAM(0.1, alpha=0.1, c=1.0)]


def touches(part: Part) -> set[str]:
    return {"x" if name == "g" else name for name in (*part.reads, *part.writes)}


def gradients(cycle: str, parts: dict[str, Part]) -> int:
    """Gradients of one turn in a long run."""
    count, fresh = 0, False
    for turn in range(2):
        for letter in cycle:
            if "g" in parts[letter].reads and not fresh:
                count, fresh = count + turn, True
            if "x" in parts[letter].writes:
                fresh = False
    return count


class Classes:
    """Union-find over all rings of n letters of which up to n − 2 occur twice."""

    def __init__(self, dynamics: Dynamics) -> None:
        self.parts = dynamics.parts
        letters = "".join(self.parts)
        self.parent: dict[str, str] = {}
        for count in range(max(len(letters) - 1, 1)):
            for twice in combinations(letters, count):
                for one in permutations(letters + "".join(twice)):
                    self.parent.setdefault("".join(one), "".join(one))
        for one in list(self.parent):
            for other in self.moves(one):
                self.parent[self.find(one)] = self.find(other)

    def moves(self, one: str) -> list[str]:
        a, b = self.parts[one[0]], self.parts[one[-1]]
        found = [one[1:] + one[0], one[::-1]]
        if not (set(a.writes) & touches(b) or set(b.writes) & touches(a)):
            found.append(one[-1] + one[1:-1] + one[0])  # neighbours, as the word is a ring
        if len(one) > 1 and one[0] == one[-1] and a.kind == "exact":
            found.append(one[1:])
        return found

    def find(self, one: str) -> str:
        while self.parent[one] != one:
            self.parent[one] = one = self.parent[self.parent[one]]
        return one

    def meets_itself(self, one: str) -> bool:
        """Whether halves that cannot be merged are neighbours."""
        return len(one) > 1 and one[0] == one[-1] and self.parts[one[0]].kind != "exact"

    def family(self) -> set[str]:
        """Classes with a word of every letter once, or a palindrome cut at an exact letter."""
        found = set()
        for one in map("".join, permutations(self.parts)):
            found.add(self.find(one))
            if self.parts[one[0]].kind == "exact":
                found.add(self.find(one + one[-2:0:-1]))
        found -= {self.find(one) for one in self.parent if self.meets_itself(one)}
        return {name for name in found if gradients(name, self.parts) == 1}


@dataclass(frozen=True)
class Own(Part):
    """A part that does nothing but declare what it reads and writes."""

    letter, reads, writes = "A", ("p",), ("x",)

    def rate(self, s: State) -> dict[str, Any]:
        return dict.fromkeys(self.writes, 0.0)

    def flow(self, s: State, h: Any) -> None: ...


def declared(letter: str, reads: tuple[str, ...], writes: tuple[str, ...], kind: Any) -> Part:
    facts = {"letter": letter, "reads": reads, "writes": writes, "kind": kind}
    return dataclass(frozen=True)(type(f"Own{letter}", (Own,), facts))()


def rings(found: list[Word]) -> list[str]:
    """The letters around the ring: a palindrome's ends are one letter cut in two."""
    names = []
    for word in found:
        one = "".join(word.letters)
        names.append(one[:-1] if word.is_symmetric and len(one) > 1 else one)
    return names


@pytest.mark.parametrize("dynamics", KNOWN, ids=lambda d: d.name)
def test_every_class_has_one_word(dynamics):
    classes = Classes(dynamics)
    found = inequivalent_words(dynamics)
    assert sorted(map(classes.find, rings(found))) == sorted(classes.family())


facts = st.tuples(
    st.lists(st.sampled_from(["g", "x", "p", "xi"]), max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from(["x", "p", "xi"]), min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from(["exact", "symmetric"]),
).filter(lambda one: not ("g" in one[0] and "x" in one[1]))  # no flow of such a part is exact
DRIFT = declared("A", ("p",), ("x",), "exact")
KICK = declared("B", ("g",), ("p",), "exact")


@given(st.lists(facts, max_size=2))
@settings(max_examples=60, deadline=None)
def test_every_class_has_one_word_whatever_commutes(others):
    parts = [declared(letter, *one) for letter, one in zip("CD", others, strict=False)]
    dynamics = Dynamics(DRIFT, KICK, *parts)
    classes = Classes(dynamics)
    found = inequivalent_words(dynamics)
    assert sorted(map(classes.find, rings(found))) == sorted(classes.family())


@pytest.mark.parametrize(("n", "plain", "symmetric"), [(3, 1, 3), (4, 3, 12), (5, 12, 60)])
def test_the_count_where_nothing_commutes(n, plain, symmetric):
    """(n − 1)!/2 bracelets of n letters, n!/2 palindromes up to half a turn."""
    others = [declared(letter, ("p",), ("p",), "exact") for letter in "CDE"[: n - 2]]
    found = inequivalent_words(Dynamics(DRIFT, KICK, *others))
    assert sum(not word.is_symmetric for word in found) == plain
    assert sum(word.is_symmetric for word in found) == symmetric


def test_heavy_ball_has_four_words():
    assert [str(word) for word in inequivalent_words(LDHD(0.1))] == [
        "BDA",
        "BADAB",
        "BDADB",
        "DBABD",
    ]


def test_words_that_exchange_of_neighbours_makes_equal_are_one():
    """In CADAM the kick and the second moment commute: E stays beside B, and both are cut."""
    found = [str(word) for word in inequivalent_words(KNOWN[-1])]
    assert "BECDA" in found and "BECDADCEB" in found
    assert not {"EBCDA", "BCDAE", "EBCDADCBE"} & set(found)


def test_a_flow_that_is_only_symmetric_is_not_cut():
    for word in inequivalent_words(KNOWN[2]):
        if word.is_symmetric:
            assert word.letters[0] != "C"
        assert "CC" not in str(word)


def test_a_part_that_is_only_consistent_has_no_adjoint_in_the_family():
    nesterov = NAG(0.1, eta=0.1)
    found = inequivalent_words(nesterov)
    assert not any(word.is_symmetric for word in found)
    # one gradient: B before F at the same x; D commutes with F, so it only matters where A is
    assert {str(word) for word in found} == {"BDFA", "BFAD"}
    assert all(reversed_cut(word) is None for word in found)
    assert [str(word) for word in inequivalent_words(GradientFlow())] == ["F"]


def test_adjoints_are_reversed_words_and_only_of_words_that_are_not_their_own():
    cd = KNOWN[1]
    pairs = {str(word): reversed_cut(word) for word in inequivalent_words(cd)}
    assert {k: str(v) for k, v in pairs.items() if v} == {
        "BCAD": "BDAC",
        "BCDA": "BADC",
        "BDCA": "BACD",
    }
    for word, other in pairs.items():
        if other is not None:
            assert str(reversed_cut(other)) == word


def test_more_gradients_give_more_words_none_a_shorter_one_repeated():
    found = inequivalent_words(LDHD(0.1), gradients=2)
    assert all(word.gradients_per_step == 2 for word in found)
    assert {str(word) for word in found} >= {"DABABAD", "B:1/6AB:1/3DB:1/3AB:1/6"}
    assert len(set(found)) == len(found)
    for word in found:
        assert max(map(word.letters.count, "ABD")) <= 4
        ring = rings([word])[0]
        assert (ring + ring).find(ring, 1) == len(ring)


def test_a_combined_letter_can_be_asked_for():
    assert [str(word) for word in inequivalent_words(KNOWN[1], letters="ABG")] == [
        "BGA",
        "BAGAB",
        "BGAGB",
        "GBABG",
    ]


@pytest.mark.parametrize("gradients", (0, -1, 1.5, True))
def test_a_number_of_gradients_is_a_whole_number(gradients):
    with pytest.raises(ValueError, match="gradients must be a whole number >= 1"):
        inequivalent_words(LDHD(0.1), gradients)


def test_letters_make_a_word():
    with pytest.raises(ValueError, match="leaves out C"):
        inequivalent_words(KNOWN[1], letters="ABD")
    with pytest.raises(ValueError, match="unknown letter 'X'"):
        inequivalent_words(KNOWN[1], letters="ABXD")
