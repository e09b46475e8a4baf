"""Which hyperparameters a trial tries: a function of its number, whichever worker asks."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from ..training.order import mixed


class SobolByNumber(BaseSampler):
    """Trial number n tries point n of a scrambled Sobol' sequence, on logarithmic axes.

    The points depend on the seed and the number of axes only: no worker needs to know of another,
    no point comes twice, and every optimizer with as many axes tries the same points of the cube.
    (A. Owen, J. Complexity 14 (1998) 466.)
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], seed: int) -> None:
        self._ranges, self._seed = ranges, seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {name: FloatDistribution(*ends, log=True) for name, ends in self._ranges.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        cube = point(trial.number, len(self._ranges), self._seed)
        return {
            name: low * (high / low) ** u
            for (name, (low, high)), u in zip(self._ranges.items(), cube, strict=True)
        }

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise KeyError(f"{param_name} is not searched")


def point(number: int, axes: int, seed: int) -> list[float]:
    """Point 0, 1, ... of the sequence, in [0, 1)ᵃˣᵉˢ."""
    sequence = qmc.Sobol(axes, scramble=True, rng=seed)
    return sequence.random_base2(number.bit_length())[number].tolist()


class TpeByNumber(BaseSampler):
    """Optuna's tree-structured Parzen estimator, with random numbers of each trial's own.

    One generator for all trials would begin again in every worker, and in a search that goes on:
    all would draw what the first one drew.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number, self._sampler = -1, TPESampler(seed=seed)

    def _of(self, trial: FrozenTrial) -> TPESampler:
        if trial.number != self._number:
            seed = mixed(self._seed, trial.number)
            self._number, self._sampler = trial.number, TPESampler(seed=seed, constant_liar=True)
        return self._sampler

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)
