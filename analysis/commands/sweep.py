"""`dashpot sweep nano --optimizers CD AdamW --trials 32`: tune fairly, compare with intervals."""

import math
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from ..sweep.head import Head
from ..sweep.known import ablated_ones, published_ones
from ..sweep.plan import Known, Pruner, Sampler, Sweep, Tune
from ..training.search import search
from ..training.settings import Precision, Schedule
from ..training.task import Setting
from ..training.tasks import TASKS
from .errors import BadCallError
from .options import check_device, check_folder, known

_TUNED = ("CD", "IKFAD", "CADAM", "SGD", "Nesterov", "AdamW", "NAdamW", "Muon")
_COMMON = (
    "steps", "batch_size", "evaluate_every", "clip", "weight_decay", "schedule", "warmup",
    "precision", "look_every",
)  # fmt: skip


@dataclass(frozen=True)
class SweepCommand:
    """Compare optimizers on a task: equal trials for each, then runs with seeds of their own.

    dashpot sweep nano --optimizers CD IKFAD CADAM SGD AdamW --trials 32 --out sweeps/nano. The
    same command goes on where it was cut off, on as many machines as share --out (and --storage).
    With --published nothing is tuned: dashpot sweep nano --published --optimizers CD IKFAD
    --words BACD BCDA --lr-factors 1 2 4. With --report-only the report in --out is written again
    from the logs.
    """

    task: tyro.conf.Positional[str]
    """cifar, vit, sst2, qnli, nano, owt, gpt2, lstm or cnn."""
    setting: Setting = "small"
    """full (the paper's), small (minutes on two cores), tiny (seconds)."""
    optimizers: tuple[str, ...] = ()
    """Names; default: CD IKFAD CADAM SGD Nesterov AdamW NAdamW Muon, or all that are published."""
    report_seeds: Annotated[tuple[int, ...], tyro.conf.arg(aliases=["--seeds"])] = (0, 1, 2, 3, 4)
    """Of the runs that are compared; none of them is used in the search."""
    trials: int = 32
    """Of the search, for each optimizer."""
    sampler: Sampler = "sobol"
    """sobol: the same quasi-random points for all; tpe: Optuna's estimator, for each its own."""
    pruner: Pruner = "median"
    """Ends trials that fall behind: median, hyperband or none."""
    tuning_seeds: tuple[int, ...] = (1000,)
    """Of the runs of a trial, which is judged by their mean."""
    search_seed: int = 0
    """Decides which hyperparameters are tried."""
    published: bool = False
    """No search: the published hyperparameters of the task."""
    frictionless: bool = False
    """No search: the published hyperparameters with gamma = 0."""
    ablation: Literal["CD", "IKFAD"] | None = None
    """No search: with and without cubic and adaptive friction, lr and gamma of this one."""
    words: tuple[str, ...] = ()
    """Without a search: orders of the letters, for the optimizers that have a word."""
    schemes: tuple[str, ...] = ()
    """Without a search: palindrome, rotation, for IKFAD and KFAD."""
    lr_factors: tuple[float, ...] = ()
    """Of lr, all else fixed. Default: 1 without a search, else 1/8 ... 8 around the best."""
    steps: int | None = None
    """Of every run. Default, as for the next: as the task plans."""
    batch_size: int | None = None
    """Examples of a step."""
    evaluate_every: int | None = None
    """Steps between two looks at the validation data."""
    clip: float | None = None
    """Largest norm of the gradient; inf: none."""
    weight_decay: float | None = None
    """Of all optimizers, where the search does not draw it."""
    schedule: Schedule | None = None
    """Of lr: constant, cosine or linear."""
    warmup: int | None = None
    """Steps in which lr rises."""
    precision: Precision | None = None
    """float32, bf16 or fp16."""
    look_every: int | None = None
    """Steps between two looks at what moves the network, such as 20."""
    data_dir: Path | None = None
    """Folder of the data; without it a stand-in is used, and said so."""
    download: bool = False
    """Fetch what is missing into --data-dir."""
    out: Path | None = None
    """Folder to write. Default: sweeps/TASK-SETTING."""
    storage: str | None = None
    """Of the search: a path, or a URL of a database. Default: study.journal in --out."""
    workers: int | None = None
    """Processes of one thread each. Default: one for each core, or for each CUDA device."""
    device: str = "cpu"
    """cpu, or cuda: the devices in turn."""
    hours: float | None = None
    """After which runs are left where they are, with a checkpoint; the same command goes on."""
    reference: str | None = None
    """Row to which differences are taken. Default: AdamW, or the first; of an ablation LDHD."""
    target: float | None = None
    """Validation value whose time is taken. Default: what all runs of the reference reach."""
    tolerance: float = 0.02
    """Relative loss of the validation value within which an lr is good."""
    report_only: bool = False
    """Run nothing; write the report from the logs in --out."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before any work is done."""
        known("task", self.task, TASKS)
        if not 0 < self.tolerance < math.inf:
            raise BadCallError(f"--tolerance must be a number > 0; got {self.tolerance}")
        if "TORCHELASTIC_RUN_ID" in os.environ:
            raise BadCallError(
                "a sweep makes processes of its own; leave torchrun out and give --workers N"
            )
        if self.report_only:
            return
        if self.workers is not None and self.workers < 1:
            raise BadCallError(f"--workers must be a whole number >= 1; got {self.workers}")
        if self.hours is not None and not self.hours > 0:
            raise BadCallError(f"--hours must be a number > 0; got {self.hours}")
        check_device(self.device)
        check_folder("out", self._out)
        try:
            sweep = self.sweep()
            self._try(sweep)
            task = TASKS[self.task](self.setting, self.data_dir, download=self.download)
            from ..sweep.folders import claim

            claim(self._out, Head.of(sweep, task, self.device))
            self._prepare(sweep)
        except (ValueError, TypeError, OSError, ImportError) as error:
            raise BadCallError(str(error).splitlines()[0]) from None
        if task.is_standin:
            print(f"dashpot: {task.name}: {task.source}", file=sys.stderr)

    def _try(self, sweep: Sweep) -> None:
        """The settings of all runs, as far as they are known, and the extra that they need."""
        if sweep.tune is None:
            list(sweep.known_runs())
            return
        from ..sweep import tuning

        for name in sweep.optimizers:
            sweep.trial_runs(name, 0, tuning.middle(sweep.task, name))

    def _prepare(self, sweep: Sweep) -> None:
        """The tables of a database, which two workers cannot make at once."""
        if sweep.tune is None:
            return
        from ..sweep import tuning

        try:
            tuning.storage(self._storage)
        except Exception as error:  # of SQLAlchemy, or of the database's own package
            raise ValueError(f"--storage {self._storage} cannot be used: {error}") from None

    def run(self) -> int:
        if self.report_only:
            return self._report()
        from ..sweep import folders, pool

        sweep, out = self.sweep(), self._out
        outcome = pool.run(sweep, self._places(), folders.all_over(out, sweep))
        for failure in outcome.failures:
            print(f"dashpot: {failure}", file=sys.stderr)
        code = self._report()
        if outcome.interrupted:
            print("interrupted: the same command goes on")
            return 130
        if self.hours is not None and outcome.left:
            print(f"time is up with {outcome.left} runs left: the same command goes on")
        return 1 if outcome.failures else code

    # --- what is asked for -------------------------------------------------------------------

    def sweep(self) -> Sweep:
        """ValueError for what does not fit together."""
        common = {name: value for name in _COMMON if (value := getattr(self, name)) is not None}
        known = self._known()
        if known is not None:
            return Sweep(
                self.task, self.setting, common, self.report_seeds, None, (), known,
                self.words, self.schemes, self.lr_factors or (1.0,),
            )  # fmt: skip
        factors = tuple(f for f in self.lr_factors if f != 1) or Tune.factors
        tune = Tune(
            self.trials, self.sampler, self.search_seed, self.tuning_seeds, self.pruner, factors
        )
        return Sweep(
            self.task, self.setting, common, self.report_seeds, tune,
            self.optimizers or self._searched_names(), {}, self.words, self.schemes,
        )  # fmt: skip

    def _known(self) -> dict[str, Known] | None:
        """Hyperparameters that need no search; None for a search."""
        asked = [name for name in ("published", "frictionless", "ablation") if getattr(self, name)]
        if len(asked) > 1:
            raise ValueError(f"give one of {', '.join(f'--{name}' for name in asked)}")
        if not asked:
            return None
        if self.ablation is not None:
            if self.optimizers:
                raise ValueError("an ablation has its own optimizers; leave --optimizers out")
            return ablated_ones(self.task, self.ablation)
        return published_ones(self.task, self.optimizers, frictionless=self.frictionless)

    def _searched_names(self) -> tuple[str, ...]:
        found = []
        for name in _TUNED:
            with suppress(ValueError):  # Muon, where there is no matrix
                search(self.task, name)
                found.append(name)
        return tuple(found)

    @property
    def _out(self) -> Path:
        return self.out or Path("sweeps", f"{self.task}-{self.setting}")

    @property
    def _reference(self) -> str | None:
        """Of an ablation what has neither friction."""
        if self.reference is None and self.ablation is not None:
            return next(iter(ablated_ones(self.task, self.ablation)))
        return self.reference

    @property
    def _storage(self) -> str:
        return self.storage or str(self._out / "study.journal")

    def _places(self) -> list[Any]:
        from ..sweep.work import Place

        deadline = math.inf if self.hours is None else time.time() + 3600 * self.hours
        devices = self._devices()
        count = self.workers or (len(devices) if devices != ["cpu"] else os.cpu_count() or 1)
        return [
            Place(
                self._out, self._storage, self.data_dir, self.download, devices[n % len(devices)],
                deadline,
            )
            for n in range(count)
        ]  # fmt: skip

    def _devices(self) -> Sequence[str]:
        if self.device != "cuda":
            return [self.device]
        return [f"cuda:{n}" for n in range(torch.cuda.device_count())]

    # --- the report --------------------------------------------------------------------------

    def _report(self) -> int:
        from ..sweep.folders import head_of
        from ..sweep.report import report
        from ..sweep.sentences import warnings
        from ..sweep.tables import plus_minus

        out = self._out
        try:
            head = head_of(out)
            if head.task != self.task:
                raise ValueError(f"{out} is a sweep of {head.task}, not of {self.task}")
            found = report(
                out,
                command=self._report_command(head.setting),
                reference=self._reference,
                target=self.target,
                tolerance=self.tolerance,
            )
        except ValueError as error:
            raise BadCallError(str(error)) from None
        width = max((len(one.label) for one in found.compared), default=0)
        if found.compared:
            print(f"{' ' * width}  best validation {found.head.metric}, minus {found.reference}'s")
        for one in found.compared:
            told = "" if one.difference is None else f"  {one.difference.mean:+.4f}"
            print(f"{one.label.ljust(width)}  {plus_minus(one.best)}{told}")
        for line in warnings(found):
            print(line)
        print(f"{out / 'index.html'} written")
        return 0

    def _report_command(self, setting: Setting) -> str:
        words = ["dashpot", "sweep", self.task, "--setting", setting, "--out", str(self._out)]
        for name, value in (("reference", self._reference), ("target", self.target)):
            if value is not None:
                words += [f"--{name}", str(value)]
        if self.tolerance != SweepCommand.tolerance:
            words += ["--tolerance", str(self.tolerance)]
        return shlex.join([*words, "--report-only"])
