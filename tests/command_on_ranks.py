"""A command, as one of several processes runs it."""

import io
from contextlib import redirect_stderr, redirect_stdout

from dashpot.analysis.__main__ import main


def told(rank: int, arguments: list[str]) -> dict[str, int | str]:
    """Its exit code, and what it says."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(arguments)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}
