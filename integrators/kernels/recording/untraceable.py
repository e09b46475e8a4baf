"""Why a landscape is not written out as expressions."""

MOST_NODES = 5000
"""Operations, at most, of a landscape's gradient or of a whole step: compiled in some seconds."""


RUNS = "backend='torch' runs it"
FUNCTION = "make f a function of x alone, written with torch's operations"
CHOICE = "choose with torch.where instead, which needs no value of x"


class NotTraceableError(ValueError):
    """A landscape or a part cannot be written out as expressions; `advice` says what would help."""

    def __init__(self, reason: str, advice: str = RUNS) -> None:
        super().__init__(f"{reason}; {advice}" if advice else reason)
        self.reason, self.advice = reason, advice


def too_many(count: int, what: str = "it") -> NotTraceableError:
    said = f"{what} takes {count} operations or more, and at most {MOST_NODES} fit"
    return NotTraceableError(said)
