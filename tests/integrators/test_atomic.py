"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from dashpot.integrators.files import atomic


def test_an_interrupt_just_after_the_file_got_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.replace

    def interrupted(source: str, target: Path) -> None:
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "file", "w") as handle:
        handle.write("whole")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "whole")]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "file", "w") as handle:
        handle.write("half")
        _ = 1 / 0
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]
