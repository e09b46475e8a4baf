"""The rooms keep their rules: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "dynamics": set(),
    "landscapes": set(),
    "integrators": {"dynamics"},
    "analysis": {"dynamics", "integrators", "landscapes"},
}


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms other than its own that a module imports, relatively or by the installed name."""
    depth = len(path.relative_to(ROOT).parts)  # dots that lead from the file to dashpot itself
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == depth:
                yield from [module.split(".")[0]] if module else [n.name for n in node.names]
            elif node.level == 0 and module.startswith("dashpot"):
                yield module.removeprefix("dashpot").removeprefix(".").split(".")[0]
        elif isinstance(node, ast.Import):
            for name in node.names:
                assert not name.name.startswith("dashpot"), f"{path}: use relative imports"


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert len(files) > 3
    for path in files:
        assert set(imported_rooms(path)) <= ALLOWED[room], path


def test_the_rule_is_not_empty() -> None:
    assert {"dynamics"} == set(imported_rooms(ROOT / "integrators" / "words" / "word.py"))
    assert "integrators" in set(imported_rooms(ROOT / "analysis" / "study" / "decay.py"))
