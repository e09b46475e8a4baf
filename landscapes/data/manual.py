"""The reference manual that ships inside Python: text that is there without any data."""

from __future__ import annotations

import platform
import re

SOURCE = f"the reference manual inside Python {platform.python_version()}"


def text() -> str:
    """All topics, one after the other; about 465,000 characters in Python 3.11."""
    return "\n\n".join(_topics())


def sentences() -> list[list[str]]:
    """The sentences of each topic in their order; no sentence twice."""
    seen: set[str] = set()
    found: list[list[str]] = []
    for topic in _topics():
        paragraphs = (" ".join(part.split()) for part in topic.split("\n\n"))
        found.append([])
        for part in paragraphs:
            for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", part):
                if 5 <= len(sentence.split()) <= 60 and sentence not in seen:
                    seen.add(sentence)
                    found[-1].append(sentence)
    return found


def _topics() -> list[str]:
    from pydoc_data.topics import topics

    return [topics[name] for name in sorted(topics)]
