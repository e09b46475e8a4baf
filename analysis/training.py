"""A network on handwritten digits under six optimizers, from the same start in the same order.

    train("CD", tuned("CD"), seed=0, evaluate="test")

The network is `landscapes.classifier()`, 64–64–10 with tanh, the loss the cross-entropy in nats.
Hyperparameters come from `benchmarks/tune_digits.py`, which looks at the validation split only.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ..dynamics import CD, LDHD, State
from ..integrators import convert, optim
from ..integrators.step import apply
from ..landscapes import Digits, Split, classifier, digits

SPLIT = 1  # the split of seed 0 served to settle epochs, ranges and trials, and was used up
EPOCHS, BATCH_SIZE = 40, 64  # by then the good ones have reached their validation accuracy
CAPPED_EVERY = 10  # steps between two looks at the cap: costs 1% of the run
_ORDER_SEED = 1 << 31  # the order of the batches is drawn apart from the weights

Hyperparameters: TypeAlias = dict[str, float]
Parameters: TypeAlias = Iterable[nn.Parameter]
Build: TypeAlias = Callable[[Parameters, Mapping[str, Any]], Optimizer]


@dataclass(frozen=True)
class Method:
    """An optimizer of the study: how it is made, and where its hyperparameters are looked for.

    build    optimizer from (parameters, hyperparameters)
    names    the hyperparameters `build` wants
    ranges   what the search draws, log-uniformly: name -> (lowest, highest)
    convert  hyperparameters from a draw
    """

    build: Build
    names: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    convert: Callable[[Mapping[str, float]], Hyperparameters]


@dataclass(frozen=True)
class TrainingRun:
    """What one training run left.

    epochs, losses      epochs (0: untrained) and cross-entropy on the whole training split
    validation_losses   cross-entropy on the validation split at the same epochs
    validation_accuracy fraction in [0, 1] at the last of them
    test_accuracy       fraction in [0, 1]; None if it was not asked for, or the run diverged
    capped              CD, CADAM: mean fraction of coordinates at which the cubic damping at
                        least halves p², that is 2chp² >= 1 just before it; else NaN
    seconds             wall time of training with these evaluations
    status              "diverged" if a loss was not finite: the run ends at the epoch before
    """

    optimizer: str
    seed: int
    hyperparameters: Hyperparameters
    status: Literal["finished", "diverged"]
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracy: float
    test_accuracy: float | None
    capped: float
    seconds: float

    @property
    def train_loss(self) -> float:
        """The last finite cross-entropy on the whole training split."""
        return self.losses[-1]

    @property
    def validation_loss(self) -> float:
        """The last finite cross-entropy on the validation split."""
        return self.validation_losses[-1]


# --- the optimizers -------------------------------------------------------------------------------

_SGD_RANGES = {"lr": (0.03, 2.0), "1 - momentum": (0.02, 0.5)}
_ADAM_RANGES = {"lr": (1e-3, 3e-2), "1 - beta1": (0.02, 0.5), "1 - beta2": (1e-3, 0.1)}


def _sgd(v: Mapping[str, float]) -> Hyperparameters:
    return {"lr": v["lr"], "momentum": 1 - v["1 - momentum"]}


def _adam(v: Mapping[str, float]) -> Hyperparameters:
    return {"lr": v["lr"], "beta1": 1 - v["1 - beta1"], "beta2": 1 - v["1 - beta2"]}


def _heavy_ball(v: Mapping[str, float], word: str = "BAD") -> Hyperparameters:
    """h and γ with which a word of LDHD is torch's SGD."""
    sgd = _sgd(v)
    made = convert.from_sgd(sgd["lr"], sgd["momentum"], word=word)
    return {"lr": made.lr, **made.dynamics.hyperparameters}


def _cubic(h: float, max_momentum: float) -> float:
    """c at which a step of the cubic damping leaves |p| <= 1/√(2ch) = `max_momentum`."""
    return convert.max_step_to_c(h, h * max_momentum)


def _ldhd(v: Mapping[str, float]) -> Hyperparameters:
    return _heavy_ball(v, LDHD.word)


def _cd(v: Mapping[str, float]) -> Hyperparameters:
    found = _heavy_ball(v)
    return {**found, "c": _cubic(found["lr"], v["max_momentum"])}


def _ikfad(v: Mapping[str, float]) -> Hyperparameters:
    """The IKFAD that tends to `_cd`; αh is the part of ξ that a step forgets."""
    cd = _cd(v)
    made = convert.cd_to_ikfad(CD(cd["gamma"], cd["c"]), v["alpha lr"] / cd["lr"])
    return {"lr": cd["lr"], **made.hyperparameters}


def _cadam(v: Mapping[str, float]) -> Hyperparameters:
    """h, γ, α with which CADAM at c = 0 is torch's Adam; then c."""
    adam = _adam(v)
    made = convert.from_adam(adam["lr"], (adam["beta1"], adam["beta2"]))
    values = made.dynamics.hyperparameters
    found = {"lr": made.lr, "gamma": values["gamma"], "alpha": values["alpha"]}
    return {**found, "c": _cubic(made.lr, v["max_momentum"])}


def _made_by(cls: Callable[..., Optimizer]) -> Build:
    return lambda params, v: cls(params, **v)


def _torch_adam(params: Parameters, v: Mapping[str, Any]) -> Optimizer:
    return torch.optim.Adam(params, lr=v["lr"], betas=(v["beta1"], v["beta2"]))


OPTIMIZERS: dict[str, Method] = {
    "LDHD": Method(_made_by(optim.LDHD), ("lr", "gamma"), _SGD_RANGES, _ldhd),
    "IKFAD": Method(
        _made_by(optim.IKFAD),
        ("lr", "gamma", "alpha", "mu"),
        {**_SGD_RANGES, "max_momentum": (1e-3, 1e-2), "alpha lr": (0.01, 1.0)},
        _ikfad,
    ),
    "CD": Method(
        _made_by(optim.CD),
        ("lr", "gamma", "c"),
        {**_SGD_RANGES, "max_momentum": (1e-3, 1e-2)},
        _cd,
    ),
    "CADAM": Method(
        _made_by(optim.CADAM),
        ("lr", "gamma", "alpha", "c"),
        {**_ADAM_RANGES, "max_momentum": (1e-4, 1e-3)},  # its h, so its p, is ten times smaller
        _cadam,
    ),
    "SGD": Method(_made_by(torch.optim.SGD), ("lr", "momentum"), _SGD_RANGES, _sgd),
    "Adam": Method(_torch_adam, ("lr", "beta1", "beta2"), _ADAM_RANGES, _adam),
}
"""The six optimizers by name, each with its default word (the published one).

LDHD, CD and IKFAD draw what SGD draws, CADAM what Adam draws, turned into h, γ and α by the
exact correspondence; the nonlinear ones draw besides where their friction takes over.
"""


def tuned(name: str) -> Hyperparameters:
    """The hyperparameters that `benchmarks/tune_digits.py` chose on the validation split."""
    _method(name)
    text = Path(__file__).with_name("digits.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["optimizers"][name]["hyperparameters"])


# --- training -------------------------------------------------------------------------------------


def train(
    name: str,
    hyperparameters: Mapping[str, float],
    seed: int,
    *,
    word: str | None = None,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    evaluate: Literal["validation", "test"] = "validation",
    device: str = "cpu",
    progress: Callable[[int, float], object] | None = None,
) -> TrainingRun:
    """Train the classifier; the start and the order of the batches depend on `seed` alone.

    name             a key of OPTIMIZERS
    hyperparameters  what that optimizer wants, see `Method.names`; `tuned(name)` gives it
    word             another order of the parts than the default; not for SGD and Adam
    evaluate         "test" reads the test split, once, after the last step; "validation" never
    progress         called with (epoch, training loss) after every epoch

    torch's global generator is neither read nor moved. A run that diverges ends early and says
    so in its status. Raises ValueError for names, hyperparameters and sizes that do not fit.
    """
    _check(name, hyperparameters, epochs, batch_size, evaluate)
    if word is not None and not hasattr(optim, name):
        raise ValueError(f"{name} has no word: it is torch's own optimizer; leave word out")
    data = _data()
    training, validation = (_on(split, device) for split in (data.train, data.validation))
    model = classifier(seed=seed).to(device)
    written = {} if word is None else {"word": word}
    optimizer = OPTIMIZERS[name].build(model.parameters(), {**hyperparameters, **written})
    order = torch.Generator().manual_seed(seed + _ORDER_SEED)
    started = time.perf_counter()
    curve = [(0, *_evaluate(model, training)[:1], *_evaluate(model, validation))]
    looks: list[Tensor] = []
    status: Literal["finished", "diverged"] = "finished"
    for epoch in range(1, epochs + 1):
        _epoch(model, optimizer, training, order, batch_size, looks)
        loss, validated = _evaluate(model, training)[0], _evaluate(model, validation)
        if not (math.isfinite(loss) and math.isfinite(validated[0])):
            status = "diverged"
            break
        curve.append((epoch, loss, *validated))
        if progress is not None:
            progress(epoch, loss)
    seconds = time.perf_counter() - started
    asked = evaluate == "test" and status == "finished"
    at, losses, validation_losses, accuracies = zip(*curve, strict=True)
    return TrainingRun(
        optimizer=name,
        seed=seed,
        hyperparameters=dict(hyperparameters),
        status=status,
        epochs=at,
        losses=losses,
        validation_losses=validation_losses,
        validation_accuracy=accuracies[-1],
        test_accuracy=_evaluate(model, _on(data.test, device))[1] if asked else None,
        capped=torch.stack(looks).mean().item() if looks else math.nan,
        seconds=seconds,
    )


def _epoch(
    model: nn.Module,
    optimizer: Optimizer,
    data: Split,
    order: torch.Generator,
    batch_size: int,
    looks: list[Tensor],
) -> None:
    """Every sample once, in a new order; `looks` collects the fraction that feels the cap."""
    shuffled = torch.randperm(len(data.targets), generator=order).to(data.targets.device)
    for step, batch in enumerate(shuffled.split(batch_size)):
        optimizer.zero_grad()
        cross_entropy(model(data.inputs[batch]), data.targets[batch]).backward()
        if step % CAPPED_EVERY == 0 and "c" in optimizer.defaults:
            looks.append(_capped(optimizer))
        optimizer.step()


@torch.no_grad()
def _capped(optimizer: Optimizer) -> Tensor:
    """The fraction of coordinates whose p² the cubic damping of the coming step halves, 0-dim.

    It does where 2chp² >= 1 just before it. A copy of the state goes through the step's own
    parts up to C; the optimizer is not touched.
    """
    assert isinstance(optimizer, optim.WordOptimizer)
    felt = []
    for group in optimizer.param_groups:
        dynamics = optimizer.dynamics.bind(group)
        for param in group["params"]:
            state = optimizer.state.get(param, {})
            names = dynamics.variables[1:]
            variables = {name: state.get(name, torch.zeros_like(param)) for name in names}
            s = State({"x": param.detach(), **variables, "g": param.grad}, param.ndim)
            before = s.p
            for substep in optimizer.opening:
                part, before = dynamics.letters[substep.part.letter], s.p
                apply([(part, group["lr"] * float(substep.fraction))], s, _no_more_gradients)
                if part.letter == "C":
                    break
            felt.append(((before != 0) & (2 * s.p * s.p <= before * before)).flatten())
    return torch.cat(felt).double().mean()


def _no_more_gradients(_: Tensor) -> Tensor:
    raise AssertionError("the words of the study take one gradient a step")


@torch.no_grad()
def _evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Cross-entropy and accuracy on a whole split."""
    scores = model(split.inputs)
    hits = (scores.argmax(1) == split.targets).double().mean()
    return cross_entropy(scores, split.targets).item(), hits.item()


@cache
def _data() -> Digits:
    return digits(SPLIT)


def _on(split: Split, device: str) -> Split:
    return Split(split.inputs.to(device), split.targets.to(device))


def _method(name: str) -> Method:
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {name!r}")
    return OPTIMIZERS[name]


def _check(
    name: str, hyperparameters: Mapping[str, float], epochs: int, batch_size: int, evaluate: str
) -> None:
    names = _method(name).names
    if set(hyperparameters) != set(names):
        raise ValueError(
            f"{name} takes the hyperparameters {', '.join(names)}; "
            f"got {', '.join(hyperparameters) or 'none'}"
        )
    for what, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{what} must be a whole number >= 1; got {value}")
    if evaluate not in ("validation", "test"):
        raise ValueError(f"evaluate must be 'validation' or 'test'; got {evaluate!r}")
