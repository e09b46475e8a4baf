"""A run that is killed at any moment goes on to the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import killed_training
import pytest
from small_training import left, same

OPTIMIZERS = ["CD", "Muon", "IKFAD", "CADAM", "AdamW"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed")
    command = [sys.executable, killed_training.__file__, str(path), *OPTIMIZERS]
    subprocess.run(command, check=True, timeout=300)
    return path


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bits_are_those_of_an_uninterrupted_run(folder: Path, optimizer: str) -> None:
    """Weights, state, log, best weights and result."""
    assert same(left(folder / optimizer / "one"), left(folder / optimizer / "times"))


def test_killed_before_and_within_every_write(folder: Path) -> None:
    """Of one optimizer: they write the same files."""
    here = folder / OPTIMIZERS[0]
    assert same(left(here / "one"), left(here / "events"))
    assert not [*(here / "events").glob("tmp*")], "what a killed process was writing"
    assert int((here / "sessions").read_text()) > 10
