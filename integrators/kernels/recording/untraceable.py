"""Why a landscape is not written out as expressions."""

MOST_NODES = 6000
"""Operations, at most, of a landscape's gradient: what a compiler does in seconds."""


class NotTraceableError(ValueError):
    """A landscape cannot be written out as expressions; backend="torch" runs it."""


def too_many(count: int) -> NotTraceableError:
    return NotTraceableError(f"it takes {count} operations or more, and at most {MOST_NODES} fit")
