"""`dashpot train nano --optimizer CD --lr 0.5 --gamma 0.00375 --c 1.87e5`: a network is trained."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import tyro

from ..training.events import writer
from ..training.folder import BusyError, check_no_others
from ..training.methods import METHODS
from ..training.parallel import join
from ..training.published import published
from ..training.result import Result
from ..training.settings import Parallel, Precision, Schedule, Settings
from ..training.task import Setting, Task
from ..training.tasks import TASKS
from ..training.trainer import train
from .errors import BadCallError
from .hyperparameters import HYPERPARAMETERS, hyperparameters, others
from .options import check_device, check_folder, known
from .training import Bar, summary

_AS_PLANNED = (
    "steps", "batch_size", "accumulate", "evaluate_every", "clip", "schedule", "warmup", "final",
    "weight_decay", "precision", "parallel", "look_every",
)  # fmt: skip


@dataclass(frozen=True)
class TrainCommand:
    """Train a network, resumable at any moment: the same command goes on where it was cut off.

    dashpot train nano --optimizer CD --word BCDA --lr 0.5 --gamma 0.00375 --c 1.87e5 --data-dir
    data; with --published the hyperparameters are the paper's. Several processes train one network
    under torchrun: torchrun --nproc-per-node 2 -m dashpot.analysis train nano --published
    """

    task: tyro.conf.Positional[str]
    """cifar, vit, sst2, qnli, nano, owt, gpt2, lstm or cnn."""
    optimizer: str = "CD"
    """LDHD, KFAD, IKFAD, RIKFAD, CD, IKFAD+cubic, CADAM, SGD, Nesterov, Adam, AdamW, NAdamW or
    Muon."""
    word: str | None = None
    """Order of the letters in a step (default: the published one)."""
    setting: Setting | None = None
    """full (the paper's), small (minutes on two cores), tiny (seconds). Default: full if the task's
    own data are there, else small."""
    published: bool = False
    """The paper's hyperparameters, found in the full setting; those given replace them."""
    frictionless: bool = False
    """Of the published ones those for gamma = 0."""
    lr: float | None = None
    """Learning rate; in LDHD, KFAD, IKFAD, RIKFAD, CD and CADAM the step size h."""
    gamma: float | None = None
    """Linear friction γ."""
    alpha: float | None = None
    """Decay rate α of ξ or ζ."""
    mu: float | None = None
    """Thermal mass μ."""
    c: float | None = None
    """Cubic friction c."""
    momentum: float | None = None
    """Of SGD, Nesterov and Muon."""
    beta1: float | None = None
    """Of Adam, AdamW and NAdamW, as the next."""
    beta2: float | None = None
    """What is kept of the second moment in a step."""
    adamw_lr: float | None = None
    """Muon's, for what is not a matrix."""
    options: tuple[str, ...] = ()
    """What else the optimizer takes: scheme=rotation, momentum_init=gradient, fused=false..."""
    seed: int = 0
    """Of weights, order of the examples, augmentation and dropout."""
    steps: int | None = None
    """Of the run. Default, as for the next two and --clip: as the task plans."""
    batch_size: int | None = None
    """Examples of a step, over all processes."""
    evaluate_every: int | None = None
    """Steps between two looks at the validation data."""
    accumulate: int = 1
    """Parts of a batch that pass through the network one after the other, to need less memory."""
    clip: float | None = None
    """Largest norm of the gradient; inf: none."""
    weight_decay: float = 0.0
    """As the optimizer means it."""
    schedule: Schedule = "constant"
    """Of lr."""
    warmup: int = 0
    """Steps in which lr rises first."""
    final: float = 0.0
    """To what part of lr cosine and linear fall."""
    precision: Precision = "float32"
    """Of autocast; parameters are float32."""
    parallel: Parallel = "ddp"
    """Under torchrun: replicas (ddp) or shards (fsdp)."""
    look_every: int = 0
    """Steps between two looks at what moves the network, such as 20: 2.5% of a step; 0: none."""
    checkpoint_every: int | None = None
    """Steps between two checkpoints. Default: where the validation data are looked at."""
    data_dir: Path | None = None
    """Folder of the data; without the task's data a stand-in is used, and said so."""
    download: bool = False
    """Fetch what is missing into --data-dir."""
    device: str = "cpu"
    """cpu or cuda."""
    out: Path | None = None
    """Folder of the run. Default: in runs, by the name of all that was asked for."""
    test: bool = False
    """Look at the test data too, once, after the last step."""
    tensorboard: bool = False
    """Write the log for TensorBoard too."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before any work is done."""
        known("task", self.task, TASKS)
        known("optimizer", self.optimizer, METHODS)
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise BadCallError(
                f"--checkpoint-every must be a whole number >= 1; got {self.checkpoint_every}"
            )
        if self.frictionless and not self.published:
            raise BadCallError("--frictionless is for --published")
        if self.download and self.data_dir is None:
            raise BadCallError("--download needs --data-dir, the folder to fetch into")
        check_device(self.device)
        check_folder("out", self.out or Path("runs"))
        try:
            if self.out is not None:
                check_no_others(self.out)
            self._settings("full")
            if self.tensorboard:
                writer()
            if self.test and not self._task.has_test:
                raise BadCallError(f"{self._task.name} has no test data; leave --test out")
            _ = self._parameters
        except (TypeError, ValueError, OSError, ImportError) as error:
            raise BadCallError(str(error)) from None

    def run(self) -> int:
        task, settings, out = self._task, self._settings(self._task.setting), self._out
        ranks, _ = join(torch.device(self.device))
        steps = settings.steps or task.plan.steps
        quiet = ranks.rank > 0
        if not quiet:
            print(self._heading(settings, steps), file=sys.stderr)
        before = Result.read(out)
        try:
            with Bar(steps, quiet=quiet) as bar:
                result = train(
                    task,
                    settings,
                    out,
                    device=self.device,
                    checkpoint_every=self.checkpoint_every,
                    test=self.test,
                    tensorboard=self.tensorboard,
                    progress=bar,
                )
        except (ValueError, BusyError) as error:  # the folder is of another run, or not free
            raise BadCallError(str(error)) from None
        except OSError as error:
            print(f"dashpot: {out}: {error}", file=sys.stderr)
            return 1
        except torch.OutOfMemoryError:
            print(
                f"dashpot: the device has too little memory; --accumulate {2 * self.accumulate} "
                "halves what a batch needs",
                file=sys.stderr,
            )
            return 1
        if not quiet:
            print("\n".join(summary(task, result, out, steps, again=result == before)))
            for name in result.unwritten:
                print(f"dashpot: {out / name} could not be written", file=sys.stderr)
        if result.status == "interrupted":
            return 130
        return 1 if result.status == "diverged" or result.unwritten else 0

    # --- what is asked for -------------------------------------------------------------------

    @cached_property
    def _task(self) -> Task:
        """ "full" by default; where that has no data of its own "small", which is soon done."""
        make = TASKS[self.task]
        task = make(self.setting or "full", self.data_dir, download=self.download)
        if self.setting is None and task.is_standin:
            return make("small", self.data_dir, download=self.download)
        return task

    @cached_property
    def _parameters(self) -> int:
        """How many the network has; ValueError where the optimizer cannot have them."""
        parameters = [*self._task.network().named_parameters()]
        self._settings(self._task.setting).build(parameters)
        return sum(each.numel() for _, each in parameters)

    def _settings(self, setting: Setting) -> Settings:
        return Settings(
            self.task,
            setting,
            self.optimizer,
            self._hyperparameters(),
            word=self.word,
            seed=self.seed,
            options=others(self.options),
            **{name: getattr(self, name) for name in _AS_PLANNED},
        )

    def _hyperparameters(self) -> dict[str, float]:
        paper: Mapping[str, float] = {}
        if self.published:
            paper = published(self.task, self.optimizer, frictionless=self.frictionless)
        return hyperparameters(self.optimizer, self._given(HYPERPARAMETERS), paper)

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        """What is not as by default."""
        values = {name: getattr(self, name) for name in names}
        return {name: v for name, v in values.items() if v != getattr(type(self), name)}

    # --- what it is called -------------------------------------------------------------------

    @property
    def _out(self) -> Path:
        """A folder for all runs that are the same; stand-ins say so here too."""
        if self.out is not None:
            return self.out
        words = [self._task.name, self._task.setting, self.optimizer, self.word]
        words += ["published" * self.published, "frictionless" * self.frictionless]
        for name, value in self._given((*HYPERPARAMETERS, *_AS_PLANNED)).items():
            words.append(value if isinstance(value, str) else f"{name}{value:.12g}")
        words += [*self.options, f"seed{self.seed}"]
        return Path("runs", "-".join(re.sub(r"[^\w.=+]+", "-", word) for word in words if word))

    def _heading(self, settings: Settings, steps: int) -> str:
        """What is about to be trained, on what, and how."""
        task = self._task
        values = ", ".join(f"{name} {v:.6g}" for name, v in settings.hyperparameters.items())
        name = f"{settings.optimizer} {settings.word}" if settings.word else settings.optimizer
        missing = ""
        if task.is_standin and self.data_dir is not None:
            missing = f"{self.data_dir}: not all that {self.task} needs is there; see --download\n"
        return (
            f"{missing}{task.name}, {task.setting}: {task.source}\n"
            f"{self._parameters:,} parameters, {name} ({values}), {steps:,} steps of "
            f"{settings.batch_size or task.plan.batch_size}"
        )
