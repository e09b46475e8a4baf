"""`dashpot study`: run the sections, write the report, print the tables."""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..study import SECTIONS, Section
from .errors import BadCallError
from .options import check_device


@dataclass(frozen=True)
class Study:
    """Decay of the energy, order of words, theory, momentum, noise, a trained network: one page.

    Writes index.html (open it in a browser), figures, runs and results.json into a folder.
    """

    quick: bool = False
    """Fewer landscapes, words and seeds: half a minute instead of one to two."""
    out: Path | None = None
    """Folder to write; new or empty. Default: study-001, study-002, ... here."""
    overwrite: bool = False
    """Replace an earlier study in the folder given by --out."""
    seed: int = 0
    """First seed of the training runs."""
    only: tuple[Section, ...] = ()
    """Sections to run, separated by spaces; all if not given."""
    device: str = "cpu"
    """Where simulations and training run: cpu or cuda. References and orders stay on the cpu."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before any work is done."""
        if not 0 <= self.seed < 2**31:
            raise BadCallError(f"--seed must be a whole number from 0 to 2³¹ − 1; got {self.seed}")
        check_device(self.device)
        if self.overwrite and self.out is None:
            raise BadCallError("--overwrite needs --out, the folder to replace")
        if self.out is not None:
            _check_folder(self.out, self.overwrite)
        parent = next(p for p in (self.out or Path("study")).absolute().parents if p.exists())
        try:
            tempfile.TemporaryFile(dir=parent).close()
        except OSError:
            raise BadCallError(f"cannot write in {parent}") from None

    def run(self) -> int:
        from ..study.report import terminal_tables
        from ..study.run import next_folder, study

        out = self.out or next_folder(Path.cwd())
        replaced = None
        if out.exists():  # kept under a free name until the new study is whole
            replaced = next_folder(out.parent, f"{out.name}-replaced")
            out.rename(replaced)
        started = time.perf_counter()
        results = study(
            out,
            quick=self.quick,
            seed=self.seed,
            only=self.only or SECTIONS,
            device=self.device,
        )
        print(terminal_tables(results.as_json()))
        print(f"\n{out / 'index.html'} written in {time.perf_counter() - started:.0f} s")
        if results.interrupted:
            print("interrupted: this is what was finished")
            if replaced is not None:
                print(f"the study it was to replace is in {replaced}")
            return 130
        if replaced is not None:
            shutil.rmtree(replaced)
        for failure in results.failures:
            print(f"failed: {failure}", file=sys.stderr)
        return 1 if results.failures else 0


def _check_folder(out: Path, overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise BadCallError(f"--out {out} is a file or a link; name a folder")
    if not any(out.iterdir()):
        return
    if not (out / "results.json").exists():
        raise BadCallError(f"--out {out} exists and is not a study's folder; name a new one")
    if not overwrite:
        raise BadCallError(f"--out {out} exists; name a new folder, or add --overwrite")
    if out.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise BadCallError(f"--out {out} is the folder you are in; go elsewhere to replace it")
