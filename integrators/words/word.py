"""A word: the order in which the parts of a dynamics are applied in one step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ...dynamics import Dynamics, Part
from ..start import not_a_dynamics
from .composition import Pieces, is_symmetric, shown
from .consistency import check
from .order import WordOrder, order_of
from .spelling import TOKEN, read, refuse_consistent, written


@dataclass(frozen=True)
class Substep:
    """One letter of a step: which part, and which fraction of h it gets."""

    part: Part
    fraction: Fraction

    @property
    def reads_gradient(self) -> bool:
        return "g" in self.part.reads

    @property
    def moves_x(self) -> bool:
        return "x" in self.part.writes

    def __str__(self) -> str:
        return (
            self.part.letter if self.fraction == 1 else f"{self.part.letter}:{shown(self.fraction)}"
        )


class Word:
    """The letters of one step, in order, for example `Word("BACD", CD(gamma=0.5, c=2.0))`.

    A letter that occurs n times gets h/n each time; a written fraction (`B:1/4`, `A:0.3`) is
    kept and the unwritten ones share the rest. White space is ignored. With a dynamics the word
    is checked against it: every letter must be known and the fractions of every summand must add
    up to 1, where a combined letter (G = C + D) counts for each of its summands.

    Words can be made from words, by the methods or in the text, one inside the other:
    `adjoint(BCDA)`, `symmetrize(BCDA)`, `yoshida(BADAB)`, `suzuki(symmetrize(BCDA))`,
    `compose(BADAB,1/4,1/2,1/4)`. Exact flows of one letter that meet at a seam become one.

    Attributes
        text       the word without white space
        letters    its letters, written out
        fractions  the fraction of h of each letter (rationals; roots to 60 digits)
        substeps   (with a dynamics) the parts to apply with their fractions

    Raises ValueError naming the letter, its position (from 1), and a word that would be right;
    also for a negative fraction of a part that has no flow backwards at all.
    """

    def __init__(self, text: "str | Word", dynamics: Dynamics | None = None) -> None:
        if isinstance(text, Word):
            text = text.text
        if not isinstance(text, str):
            raise TypeError(f"a word is text such as 'BACD'; got {text!r}")
        if dynamics is not None and not isinstance(dynamics, Dynamics):
            raise TypeError(not_a_dynamics(dynamics))
        self.text = "".join(text.split())
        self._pieces: Pieces = read(self.text, dynamics)
        self.letters = tuple(piece.letter for piece in self._pieces)
        self.fractions = tuple(piece.fraction for piece in self._pieces)
        self.dynamics = dynamics
        if dynamics is not None:
            check(self.text, self._pieces, dynamics)

    @property
    def is_symmetric(self) -> bool:
        """Whether the word reads the same backwards, fractions included.

        With parts whose flows are exact or symmetric, such a step is its own inverse under
        h → −h and therefore of even order, at least 2. With a part that is only consistent it
        is not, and neither is the word.
        """
        return is_symmetric(self._pieces, self.dynamics)

    @property
    def substeps(self) -> tuple[Substep, ...]:
        if self.dynamics is None:
            raise ValueError(
                f"Word({self.text!r}) stands alone; give it the dynamics whose parts its letters "
                f"name, for example Word({self.text!r}, CD(gamma=0.5, c=2.0))"
            )
        known = self.dynamics.letters
        pairs = zip(self.letters, self.fractions, strict=True)
        return tuple(Substep(known[letter], fraction) for letter, fraction in pairs)

    @property
    def gradients_per_step(self) -> int:
        """Gradients a step costs in a long run; one is reused while the point has not moved."""
        return count_gradients(self.substeps, fresh=count_fresh(self.substeps))

    def order(self, relations: Sequence[str] | None = None, highest: int = 6) -> WordOrder:
        """The order by algebra: the product of the flows against the flow of the sum.

        The logarithm of e^{h a₁ X₁} e^{h a₂ X₂} … (the word from left to right) is compared with
        h ΣX in the free Lie algebra of the parts' vector fields (Lie derivatives), in rationals,
        or with 60 digits where a fraction is not a short one. The first power of h at which they
        differ gives the order and the error, as commutators: see `WordOrder`. Fractions of 12
        digits and more count as rounded: coefficients below 10⁻¹² of their natural size
        Σ|fraction|^power are then 0. A combined letter is the sum of its summands; a symmetric
        flow is exp(hC + h³C₃ + …) and a consistent one exp(hF + h²F₂ + …) with unknown C₃, F₂.

        Of a word with noise it is the weak order: the parts' generators, which are differential
        operators of second order, take the place of the vector fields.

        relations   commutators that vanish, such as ("[B,E]", "[B,[B,[B,A]]]"), and what follows
                    from them; () for none. None: parts that do not touch each other's variables
                    commute (`commuting`), and so do the corrections of their flows, of which
                    other relations say nothing. Without a dynamics the letters are independent
        highest     the highest order to be told from higher ones

        Raises ValueError for a relation that cannot be read. Source: Hairer, Lubich, Wanner,
        Geometric Numerical Integration, chapter III.
        """
        return order_of(self._pieces, self.dynamics, relations, highest)

    def adjoint(self) -> "Word":
        """The word backwards: the inverse of its step with −h. Of the same order.

        Raises ValueError where a part is only consistent.
        """
        if not self._is_plain:
            return self._made(f"adjoint({self.text})")
        refuse_consistent(self._pieces, self.dynamics, f"the adjoint of {self.text!r}")
        return self._made("".join(reversed(self.tokens)))

    def rotated(self, n: int) -> "Word":
        """The word that begins n letters later and ends with those it leaves out: a conjugate.

        Its steps are those of the word seen from another point of the cycle, so long runs share
        stability and convergence. A composed word is written out with its fractions.
        """
        tokens = self.tokens
        n %= len(tokens)
        return self._made("".join(tokens[n:] + tokens[:n]))

    def symmetrized(self) -> "Word":
        """The word with h/2, then its adjoint with h/2 (Strang 1968): symmetric, order >= 2.

        Where two halves of one letter meet they become one, if the flow is exact. Raises
        ValueError where a part is only consistent.
        """
        return self._made(f"symmetrize({self.text})")

    def composed(self, weights: Iterable[Fraction | Decimal | float | str]) -> "Word":
        """The word with w₁h, then with w₂h, …; ValueError unless the weights add up to 1.

        A float counts as the decimal that it prints.
        """
        exact = [Fraction(repr(w) if isinstance(w, float) else w) for w in weights]
        return self._made(f"compose({','.join((self.text, *map(written, exact)))})")

    def yoshida(self) -> "Word":
        """The triple jump w, 1 − 2w, w with w = 1/(2 − 2^{1/(p+1)}) (Yoshida 1990).

        Raises a symmetric word of even order p to order p + 2. The middle weight is negative
        (−1.70 at p = 2), so every flow must exist backwards for that long. ValueError if the
        word is not symmetric: see `symmetrized`.
        """
        return self._made(f"yoshida({self.text})")

    def suzuki(self) -> "Word":
        """The quintuple jump w, w, 1 − 4w, w, w with w = 1/(4 − 4^{1/(p+1)}) (Suzuki 1990).

        As `yoshida`, with two more repetitions and a middle weight of only −0.66 at p = 2.
        """
        return self._made(f"suzuki({self.text})")

    def _made(self, text: str) -> "Word":
        return Word(text, self.dynamics)

    @property
    def _is_plain(self) -> bool:
        return "(" not in self.text

    @property
    def innermost(self) -> tuple[str, str, str]:
        """The text before, of, and after the word inside all compositions."""
        before, bracket, rest = self.text.rpartition("(")
        inner = rest.partition(")")[0].partition(",")[0]
        return before + bracket, inner, rest.removeprefix(inner)

    @property
    def tokens(self) -> list[str]:
        """Letter by letter, the text of the word written out."""
        if self._is_plain:
            return [match[0] for match in TOKEN.finditer(self.text)]
        return [f"{piece.letter}:{written(piece.fraction)}" for piece in self._pieces]

    def __len__(self) -> int:
        return len(self.letters)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        tail = f", {self.dynamics!r}" if self.dynamics is not None else ""
        return f"Word({self.text!r}{tail})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Word):
            return NotImplemented
        return (self.letters, self.fractions) == (other.letters, other.fractions)

    def __hash__(self) -> int:
        return hash((self.letters, self.fractions))


def count_gradients(substeps: Iterable[Substep], fresh: bool) -> int:
    """Gradients needed from a start whose gradient is known (`fresh`) or not."""
    count = 0
    for substep in substeps:
        if substep.reads_gradient and not fresh:
            count, fresh = count + 1, True
        if substep.moves_x:
            fresh = False
    return count


def count_fresh(substeps: Sequence[Substep]) -> bool:
    """Whether a step leaves a gradient at the point where it ends."""
    fresh = False
    for substep in substeps:
        fresh = (fresh or substep.reads_gradient) and not substep.moves_x
    return fresh
