"""`dashpot map CD rosenbrock --gamma 1e-3:10 --c 0.1:1e6`: where a dynamics converges, how fast."""

import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro

from ... import dynamics as catalogue
from ...integrators import Word
from ...integrators.advance import Backend
from ...integrators.ensembles import Ensemble, FinalEnergy, FittedRate, TimeToTarget, ensemble
from ...integrators.ensembles.ranks import Ranks
from ...integrators.files import atomic
from ..plots.maps import plot_map
from .errors import BadCallError
from .landscapes import landscape
from .options import check_place, number_or_range
from .summary import summary
from .word import ORDINARY, named_dynamics
from .work import Work

_FIGURES = (".png", ".svg", ".pdf")
_UNTIL = 200.0
_EXAMPLE = "dashpot map CD rosenbrock --gamma 1e-3:10 --c 0.1:1e6"


@dataclass(frozen=True)
class Map:
    """Time to target, decay rate and divergence over two hyperparameters, or one and the step size.

    dashpot map CD rosenbrock --gamma 1e-3:10 --c 0.1:1e6 --output map.png map.npz. A range a:b is
    a logarithmic axis, a number is fixed. Several processes share the work under torchrun:
    torchrun --nproc-per-node 2 -m dashpot.analysis map CD rosenbrock --gamma 1e-3:10 --c 0.1:1e6
    """

    dynamics: tyro.conf.Positional[str]
    """Name in dashpot.dynamics: LDHD, KFAD, IKFAD, RIKFAD, CD, CADAM, NAG, Langevin..."""
    landscape: tyro.conf.Positional[str]
    """rosenbrock, quadratic, himmelblau, doublewell, styblinski-tang, mueller-brown, lj13..."""
    gamma: str | None = None
    """Linear friction γ: a range such as 1e-3:10, or a number (default 0.5)."""
    alpha: str | None = None
    """Decay rate α of ξ or ζ (default 1)."""
    mu: str | None = None
    """Thermal mass μ (default 1)."""
    c: str | None = None
    """Cubic friction c (default 2)."""
    eps: str | None = None
    """CADAM's ε (default 1e-8)."""
    eta: str | None = None
    """Mobility η of gradient flow and NAG (default 1)."""
    temperature: str | None = None
    """Temperature T of Langevin and other dynamics with noise (default 1)."""
    step: Annotated[str, tyro.conf.arg(aliases=["--lr"])] = "0.01"
    """Step size h, which optimizers call lr: a number, or a range."""
    points: int = 64
    """Values on each axis."""
    until: float | None = None
    """Time that every trajectory reaches (default 200)."""
    steps: int | None = None
    """Steps that every trajectory takes, in place of --until."""
    target: float = 1e-6
    """Energy E = f − f* + ½|p|² that counts as converged."""
    word: str | None = None
    """Order of the letters in a step (default: the dynamics' own)."""
    dimension: int | None = None
    """Coordinates, for landscapes of any dimension."""
    starts: int = 1
    """Starts at every point of the map: the landscape's own, and others around it."""
    spread: float = 0.5
    """Standard deviation of the other starts, per coordinate."""
    seed: int = 0
    """Of the other starts, and of the noise where the dynamics has some."""
    backend: Backend = "auto"
    """What computes: torch, c or triton; auto takes what is fastest here."""
    device: str = "cpu"
    """Where: cpu or cuda."""
    output: tuple[Path, ...] = (Path("map.png"),)
    """Files to write: a figure (.png, .svg, .pdf), the numbers (.npz), or both."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before any work is done."""
        for name in ("points", "starts"):
            least = 2 if name == "points" else 1
            if getattr(self, name) < least:
                raise BadCallError(
                    f"--{name} must be a whole number >= {least}; got {getattr(self, name)}"
                )
        for name in ("target", "spread", "until"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise BadCallError(f"--{name} must be a finite number > 0; got {value}")
        if self.steps is not None and self.steps < 1:
            raise BadCallError(f"--steps must be a whole number >= 1; got {self.steps}")
        if self.steps is not None and self.until is not None:
            raise BadCallError("give --steps or --until, not both")
        if not 0 <= self.seed < 2**31:
            raise BadCallError(f"--seed must be a whole number from 0 to 2³¹ − 1; got {self.seed}")
        endings = [path.suffix for path in self.output]
        if not endings or any(ending not in (*_FIGURES, ".npz") for ending in endings):
            raise BadCallError(
                "--output must be files that end in .png, .svg, .pdf or .npz; got "
                f"{', '.join(map(str, self.output)) or 'none'}"
            )
        if endings.count(".npz") > 1:
            raise BadCallError("--output: one .npz file is enough")
        for path in self.output:
            check_place(path)
        self._check_device()
        Work(self.points, self.starts).refuse()
        grid, values = self._axes()
        if len(grid) != 2:
            told = f"here {', '.join(f'--{name}' for name in grid) or 'none'}"
            raise BadCallError(f"a map has two axes, options with a range a:b ({told}): {_EXAMPLE}")
        try:
            made = self._made({**values, **{name: axis[0] for name, axis in grid.items()}})
            least = landscape(self.landscape, self.dimension).minimum
            Word(made.word if self.word is None else self.word, made)
        except (TypeError, ValueError) as error:
            raise BadCallError(str(error)) from None
        if least is None:
            raise BadCallError(
                f"{self.landscape} has no known minimum f*, which E = f − f* + ½|p|² needs; take "
                "one that has, such as lj13"
            )
        self._work().refuse()

    def run(self) -> int:
        try:
            with _told(str(self._work())):
                found = self.computed()
        except ValueError as error:  # what only the ensemble can know, such as a foreign .npz file
            raise BadCallError(str(error)) from None
        if Ranks().rank:
            return 0
        print("\n".join(summary(found, self.target)))
        if found.status == "interrupted":
            kept = any(path.suffix == ".npz" for path in self.output)
            rest = "the same command computes the rest"
            print(rest if kept else f"with an .npz file in --output {rest}: this time nothing does")
        try:
            self._write(found)
        except KeyboardInterrupt:
            print("dashpot: interrupted while the map was drawn", file=sys.stderr)
            return 130
        return 130 if found.status == "interrupted" else 0

    def _write(self, found: Ensemble) -> None:
        """The figures, unless there is nothing to show; the numbers are written already."""
        for path in sorted(self.output, key=lambda path: path.suffix in _FIGURES):
            if path.suffix in _FIGURES:
                if not found.computed.any():
                    continue
                axes = plot_map(found, target=self.target)
                with atomic(path) as handle:
                    axes[0].figure.savefig(handle, format=path.suffix[1:], dpi=150)  # type: ignore[union-attr]
                plt.close(axes[0].figure)  # type: ignore[arg-type]
            print(f"{path} written")

    def computed(self) -> Ensemble:
        """The ensemble of the map."""
        grid, values = self._axes()
        made = self._made({**values, **{name: axis[0] for name, axis in grid.items()}})
        where = landscape(self.landscape, self.dimension)
        until = _UNTIL if self.steps is None and self.until is None else self.until
        files = [path for path in self.output if path.suffix == ".npz"]
        return ensemble(
            made,
            where,
            self._starts(where),
            grid=grid,
            step=None if "step" in grid else values["step"],
            steps=self.steps,
            until=until,
            word=self.word,
            noise=self.seed if made.is_noisy else None,
            reduce=[TimeToTarget(self.target), FittedRate(), FinalEnergy()],
            backend=self.backend,
            device=self.device,
            out=files[0] if files else None,
            progress=sys.stderr.isatty(),
        )

    def _check_device(self) -> None:
        try:
            device = torch.device(self.device)
        except RuntimeError:
            device = None
        if device is None or device.type not in ("cpu", "cuda"):
            raise BadCallError(f"--device must be cpu or cuda; got {self.device}")
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise BadCallError(f"--device {self.device}: torch finds no such device; use cpu")

    def _work(self) -> Work:
        """What it will take; the mean number of steps where step sizes are an axis."""
        grid, values = self._axes()
        sizes = grid["step"] if "step" in grid else np.array([values["step"]])
        until = _UNTIL if self.until is None else self.until
        with np.errstate(over="ignore"):
            steps = float(np.ceil(until / sizes).mean()) if self.steps is None else self.steps
        dimension = landscape(self.landscape, self.dimension).dimension
        return Work(self.points, self.starts, dimension, float(steps))

    def _axes(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """The axes, and the numbers that are fixed, by name."""
        names = self._names()
        given = {name: getattr(self, name) for name in (*ORDINARY, "step")}
        grid: dict[str, np.ndarray] = {}
        values = {name: ORDINARY[name] for name in names}
        for name, text in given.items():
            if text is None:
                continue
            if name != "step" and name not in names:
                options = ", ".join(f"--{n}" for n in (*names, "step"))
                raise BadCallError(f"{self.dynamics} has no --{name}; it has {options}")
            first, last = number_or_range(name, text)
            if last is None:
                values[name] = first
            else:
                grid[name] = np.geomspace(first, last, self.points)
        return grid, values

    def _names(self) -> tuple[str, ...]:
        known = named_dynamics()
        if self.dynamics in known:
            return known[self.dynamics]
        by_case = {name.lower(): name for name in known}
        close = get_close_matches(self.dynamics.lower(), by_case, 1)
        hint = f"; did you mean {by_case[close[0]]}?" if close else ""
        raise BadCallError(f"no dynamics {self.dynamics!r}; there are {', '.join(known)}{hint}")

    def _made(self, values: dict[str, Any]) -> catalogue.Dynamics:
        cls = getattr(catalogue, self.dynamics)
        return cls(**{name: float(value) for name, value in values.items() if name != "step"})

    def _starts(self, where: Any) -> Any:
        """None, or the landscape's start with others around it, [starts, *shape]."""
        if self.starts == 1:
            return None
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.starts, *where.shape)
        away = torch.randn(shape, generator=generator, dtype=torch.float64)
        away[0] = 0
        return where.start + self.spread * away


@contextmanager
def _told(work: str) -> Iterator[None]:
    """One line on stderr, from the first process, as soon as it is known what computes."""
    log = logging.getLogger(ensemble.__module__)
    handler, before = logging.StreamHandler(sys.stderr), log.level
    handler.setFormatter(logging.Formatter(f"{work.replace('%', '%%')}; %(message)s"))
    if not Ranks().rank:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
