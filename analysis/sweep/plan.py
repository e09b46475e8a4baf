"""What is to be run: settings with labels."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..training.methods import METHODS, Hyperparameters
from ..training.search import search
from ..training.settings import Settings
from ..training.task import Setting

Kind: TypeAlias = Literal["tune", "scan", "report"]
Sampler: TypeAlias = Literal["sobol", "tpe"]
Pruner: TypeAlias = Literal["median", "hyperband", "none"]
Known: TypeAlias = tuple[str, Hyperparameters]


@dataclass(frozen=True)
class Run:
    """One training run of a sweep; where its folder is follows from what it is.

    kind    "tune": a trial of the search; "scan": the chosen hyperparameters at another lr;
            "report": what is compared in the end
    label   the row of the tables it belongs to
    factor  lr over that of the row
    test    whether it looks at the test data, when it has ended
    trial   of the search, that it is or that it follows from; None: published hyperparameters
    """

    kind: Kind
    label: str
    settings: Settings
    factor: float = 1.0
    test: bool = False
    trial: int | None = None

    @property
    def folder(self) -> Path:
        """Within the folder of the sweep."""
        row = re.sub(r"[^\w.,=+-]+", "-", self.label)
        parts = [] if self.trial is None else [f"trial-{self.trial:04d}"]
        parts += [] if self.factor == 1 else [f"lr-{self.factor:g}"]
        return Path(self.kind, row, "-".join([*parts, f"seed-{self.settings.seed}"]))

    @property
    def about(self) -> dict[str, Any]:
        """What its settings do not tell."""
        return {name: getattr(self, name) for name in ("kind", "label", "factor", "test", "trial")}


@dataclass(frozen=True)
class Tune:
    """How hyperparameters are looked for.

    trials   for each optimizer
    sampler  "sobol": the points of one scrambled Sobol' sequence for all optimizers; "tpe":
             Optuna's tree-structured Parzen estimator, for each of its own
    seed     of the sampler
    seeds    of the runs; a trial is judged by its mean over them
    pruner   ends trials early that fall behind those of the same optimizer
    factors  of lr around the chosen one, for the width of the range of good ones
    """

    trials: int = 32
    sampler: Sampler = "sobol"
    seed: int = 0
    seeds: tuple[int, ...] = (1000,)
    pruner: Pruner = "median"
    factors: tuple[float, ...] = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Sweep:
    """Runs of one task that are to be compared.

    common   fields of `Settings` that all runs share, such as steps and schedule
    seeds    of the runs that are reported
    tune     how hyperparameters of `optimizers` are looked for; or
    known    label -> optimizer and hyperparameters, as they are or in a grid over `words`,
             `schemes` (of IKFAD and KFAD) and `factors` of lr

    ValueError for what does not fit together.
    """

    task: str
    setting: Setting
    common: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    tune: Tune | None = None
    optimizers: tuple[str, ...] = ()
    known: Mapping[str, Known] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    factors: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name in ("optimizers", "seeds", "words", "schemes", "factors"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: each once; got {', '.join(map(str, values))}")
        if not (self.optimizers or self.known) or not self.seeds or not self.factors:
            raise ValueError("a sweep needs at least one optimizer, one seed and one factor of lr")
        factors = (*self.factors, *(self.tune.factors if self.tune else ()))
        if not all(0 < factor < float("inf") for factor in factors):
            raise ValueError(f"factors of lr must be numbers > 0; got {factors}")
        if self.tune is not None:
            self._check_search(self.tune)

    def _check_search(self, tune: Tune) -> None:
        if tune.trials < 1 or not tune.seeds:
            raise ValueError("a search needs at least one trial and one seed")
        if both := sorted(set(tune.seeds) & set(self.seeds)):
            raise ValueError(
                "seeds that are reported must not be those of the search; both have "
                f"{', '.join(map(str, both))}"
            )
        if self.known or self.words or self.schemes or self.factors != (1.0,):
            raise ValueError("words, schemes and factors of lr are for known hyperparameters")
        for name in self.optimizers:
            search(self.task, name)

    # --- runs --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many runs there are in all, if no trial ends early."""
        if (tune := self.tune) is None:
            return sum(1 for _ in self.known_runs())
        of_each = (tune.trials + len(tune.factors)) * len(tune.seeds) + len(self.seeds)
        return len(self.optimizers) * of_each

    def settings(self, optimizer: str, seed: int, **rest: Any) -> Settings:
        """Of one run; what a search draws comes before what is common."""
        return Settings(
            task=self.task,
            setting=self.setting,
            optimizer=optimizer,
            seed=seed,
            **{**self.common, **rest},
        )

    def planned(self) -> dict[str, list[int]]:
        """Rows of the comparison, by name, with their seeds."""
        if self.tune is not None:
            return {name: list(self.seeds) for name in self.optimizers}
        found: dict[str, list[int]] = {}
        for run in self.known_runs():
            found.setdefault(row_name(run.label, run.factor), []).append(run.settings.seed)
        return found

    def known_runs(self) -> Iterator[Run]:
        """Seed by seed, for every word, scheme and factor of lr; nothing of a search."""
        for seed in self.seeds:
            for name, (optimizer, hyperparameters) in self.known.items():
                for label, rest in self._variants(name, optimizer):
                    settings = self.settings(
                        optimizer, seed, hyperparameters=hyperparameters, **rest
                    )
                    for factor in self.factors:
                        yield Run("report", label, with_lr(settings, factor), factor, test=True)

    def _variants(self, name: str, optimizer: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Labels, and what they add to the settings."""
        words = self.words if "word" in METHODS[optimizer].others else ()
        schemes = self.schemes if optimizer in ("KFAD", "IKFAD") else ()
        for word in words or (None,):
            for scheme in schemes or (None,):
                rest: dict[str, Any] = {} if word is None else {"word": word}
                if scheme is not None:
                    rest["options"] = {**self.common.get("options", {}), "scheme": scheme}
                yield " ".join(filter(None, (name, word, scheme))), rest

    def trial_runs(self, optimizer: str, trial: int, draw: Mapping[str, float]) -> list[Run]:
        """A trial of the search, once with every seed of it."""
        assert self.tune is not None
        drawn = search(self.task, optimizer).settings(draw)
        every = (self.settings(optimizer, seed, **drawn) for seed in self.tune.seeds)
        return [Run("tune", optimizer, settings, trial=trial) for settings in every]

    def chosen_runs(self, tried: Sequence[Run]) -> Iterator[Run]:
        """What follows from the best trial of an optimizer: the report, then the scan of lr.

        Nothing where no trial came to its end.
        """
        assert self.tune is not None
        for seed in self.seeds if tried else ():
            settings = replace(tried[0].settings, seed=seed)
            yield replace(tried[0], kind="report", settings=settings, test=True)
        for run in tried:
            for factor in self.tune.factors:
                settings = with_lr(run.settings, factor)
                yield replace(run, kind="scan", settings=settings, factor=factor)


def row_name(label: str, factor: float) -> str:
    """What a row of the comparison is called."""
    return label if factor == 1 else f"{label}, lr × {factor:g}"


def with_lr(settings: Settings, factor: float) -> Settings:
    """The same with a larger or smaller lr, all else as it is."""
    lr = factor * settings.hyperparameters["lr"]
    return replace(settings, hyperparameters={**settings.hyperparameters, "lr": lr})
