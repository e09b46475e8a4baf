"""A training beside its models: mean and variance of the loss over seeds, and where they differ."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..sampling.averages import rounded

Moment = Literal["mean", "variance"]

MODELS = ("Gaussian", "SDE", "noise along", "noise of start")
CAVEAT = (
    "the variance over seeds is itself O(step): models of first and second order alike leave a "
    "relative error O(step) in it"
)
SIGNIFICANT = 4.0  # standard errors: some hundred differences are looked at
TELLING = 0.2  # the relative error above which a comparison does not tell
GROWN = 10.0  # a mean loss that ends so many times above its start is no training


@dataclass(frozen=True, repr=False)
class Curve:
    """Mean and variance of the loss over seeds with their standard errors, each [T]."""

    mean: Tensor
    mean_error: Tensor
    variance: Tensor
    variance_error: Tensor

    @classmethod
    def of(cls, losses: Tensor) -> "Curve":
        """From losses [T, seeds]; NaN for fewer than 4. The variance's error is by 4th moments."""
        n = losses.shape[1]
        if n < 4:
            unknown = losses.new_full(losses.shape[:1], torch.nan)
            return cls(unknown, unknown, unknown, unknown)
        variance = losses.var(1)
        fourth = (losses - losses.mean(1, keepdim=True)).pow(4).mean(1)
        spread = (fourth - variance.square() * (n - 3) / (n - 1)).clamp(min=0.0) / n
        return cls(losses.mean(1), (variance / n).sqrt(), variance, spread.sqrt())

    @property
    def is_unstable(self) -> bool:
        """Whether the mean ends more than ten times above its start (of losses > 0)."""
        first, last = float(self.mean[0]), float(self.mean[-1])
        return first > 0 and last > GROWN * first

    def __repr__(self) -> str:
        return f"Curve({len(self.mean)} times, mean {self.mean[0]:.3g} to {self.mean[-1]:.3g})"


@dataclass(frozen=True)
class Difference:
    """(model − training)/training at a step, of mean or variance, and its error in that unit."""

    step: int
    value: float
    error: float

    @property
    def is_significant(self) -> bool:
        return abs(self.value) > SIGNIFICANT * self.error

    @property
    def agrees(self) -> bool | None:
        """None where the error is too large to tell."""
        if self.is_significant:
            return False
        return True if self.error <= TELLING else None

    def __str__(self) -> str:
        sign = "+" if self.value >= 0 else ""
        return f"{sign}{rounded(100 * self.value, 100 * self.error)} % at step {self.step}"


@dataclass(frozen=True, repr=False)
class Comparison:
    """One training beside its models.

    lr        that of torch's SGD with momentum, to which the methods are matched
    step_size h of the training's word; for SGD without momentum its own learning rate
    seeds     trajectories of every model
    steps     [T], after which the losses are taken, from 0
    curves    by name: "training", then the MODELS
    diverged  trajectories that were lost, by name; they are left out of the curves
    """

    method: str
    lr: float
    step_size: float
    batch_size: int
    seeds: int
    steps: Tensor
    curves: dict[str, Curve]
    diverged: dict[str, int]

    def __repr__(self) -> str:
        text = (
            f"Comparison({self.method}, lr = {self.lr:g}, h = {self.step_size:.3g}, batches of "
            f"{self.batch_size}, {self.seeds} seeds, {int(self.steps[-1])} steps"
        )
        lost = ", ".join(self.failures(name) for name in self.curves if self.failures(name))
        return f"{text}; {lost})" if lost else f"{text})"

    def failures(self, name: str) -> str:
        """What went wrong with the training or a model, in words; "" if it stayed stable."""
        curve, lost = self.curves[name], self.diverged[name]
        if lost:
            return f"{lost} trajectories of {name} diverged"
        if curve.is_unstable:
            growth = float(curve.mean[-1] / curve.mean[0])
            return f"{name} is unstable (its mean loss ends at {growth:.2g} times its start)"
        return ""

    def differences(self, model: str, moment: Moment) -> list[Difference]:
        """Relative differences of the "mean" or "variance" at all steps but 0."""
        true, found = self.curves["training"], self.curves[model]
        a, b = getattr(true, moment), getattr(found, moment)
        ea, eb = (getattr(curve, f"{moment}_error") for curve in (true, found))
        values, errors = b / a - 1, (ea.square() + eb.square()).sqrt() / a
        rows = zip(self.steps.tolist(), values.tolist(), errors.tolist(), strict=True)
        return [Difference(int(step), value, e) for step, value, e in rows if step > 0]

    def rows(self, times: int = 4) -> list[dict[str, Any]]:
        """For every model and about `times` steps a row of numbers, with the caveat.

        "mean_agrees" and "variance_agrees" are None where the error is too large to tell, and
        where the training or the model diverged or is unstable.
        """
        every = max(1, (len(self.steps) - 1) // times)
        true = self.curves["training"]
        rows = []
        for model in MODELS:
            comparable = not self._failed(model)
            pairs = list(
                zip(*(self.differences(model, m) for m in ("mean", "variance")), strict=True)
            )
            for place in range(every, len(self.steps), every):
                mean, variance = pairs[place - 1]
                rows.append({
                    "method": self.method, "lr": self.lr, "step_size": self.step_size,
                    "batch_size": self.batch_size, "seeds": self.seeds,
                    "model": model, "step": mean.step,
                    "loss": float(true.mean[place]), "loss_error": float(true.mean_error[place]),
                    "mean_difference": mean.value, "mean_difference_error": mean.error,
                    "mean_agrees": mean.agrees if comparable else None,
                    "variance": float(true.variance[place]),
                    "variance_error": float(true.variance_error[place]),
                    "variance_difference": variance.value,
                    "variance_difference_error": variance.error,
                    "variance_agrees": variance.agrees if comparable else None,
                    "diverged": self.diverged[model], "note": CAVEAT,
                })  # fmt: skip
        return rows

    def verdicts(self) -> dict[str, str]:
        """For every model, in words, where mean and variance of the loss hold and where not."""
        return {
            model: f"not comparable: {failed}"
            if (failed := self._failed(model))
            else "; ".join(self._verdict(model, moment) for moment in ("mean", "variance"))
            for model in MODELS
        }

    def _verdict(self, model: str, moment: Moment) -> str:
        found = self.differences(model, moment)
        wrong = [one for one in found if one.is_significant]
        if not wrong:
            widest = float(f"{100 * max(one.error for one in found):.2g}")
            if any(one.agrees is None for one in found):
                return f"{moment} not told apart: errors up to {widest:g} %"
            return f"{moment} within errors (at most {widest:g} %)"
        worst = max(wrong, key=lambda one: abs(one.value))
        share = f"{len(wrong)} of {len(found)} times"
        return f"{moment} off at {share}, most by {worst}"

    def _failed(self, model: str) -> str:
        return " and ".join(filter(None, map(self.failures, ("training", model))))
