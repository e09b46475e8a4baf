"""`dashpot convert SGD --lr 0.1 --momentum 0.9`: an optimizer in the other vocabulary."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tyro

from ...dynamics import CADAM, CD, IKFAD, LDHD, NAG
from ...integrators import convert
from ...integrators.convert import Equivalent, TorchEquivalent
from .errors import BadCallError

Method = Literal["SGD", "Adam", "AdamW", "LDHD", "NAG", "CADAM", "IKFAD", "CD"]

# what a method takes: options it cannot do without, and others
_TAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "SGD": (("lr",), ("momentum", "dampening", "weight_decay", "nesterov", "word")),
    "Adam": ((), ("lr", "betas", "eps", "weight_decay", "word")),
    "AdamW": ((), ("lr", "betas", "eps", "weight_decay", "word")),
    "LDHD": (("lr", "gamma"), ("word",)),
    "NAG": (("lr", "gamma"), ()),
    "CADAM": (
        ("lr", "gamma", "alpha"),
        ("eps", "c", "weight_decay", "bias_correction", "word"),
    ),
    "IKFAD": (("alpha", "mu"), ("gamma", "lr")),
    "CD": ((), ("lr", "gamma", "c", "alpha", "max_step", "word")),
}
_DECAY = {"Adam": 0.0, "AdamW": 0.01}  # torch's defaults
_LIMIT = "approximate: trajectories differ by O(1/α), terminal velocities agree"
_NO_CUBE = "in the limit c → 0 only: torch has no cubic damping"


@dataclass(frozen=True)
class Convert:
    """An optimizer of torch as a word of a dynamics, or a dynamics as an optimizer of torch.

    To dashpot: SGD --lr 0.1 --momentum 0.9, Adam or AdamW --lr 1e-3. To torch: LDHD or NAG --lr
    0.3 --gamma 0.3, CADAM with --alpha as well. IKFAD --alpha --mu gives the c of CD, CD --c
    --alpha the μ of IKFAD; CD --lr with --max-step the c of that cap, with --c the cap.
    """

    method: tyro.conf.Positional[Method]
    """The optimizer to convert: of torch (SGD, Adam, AdamW), or a dynamics."""
    lr: float | None = None
    """Learning rate of torch's optimizer, or step size h of a dynamics."""
    momentum: float | None = None
    """SGD's momentum β (default 0)."""
    dampening: float | None = None
    """SGD's dampening τ (default 0)."""
    nesterov: bool = False
    """SGD's Nesterov momentum."""
    betas: tuple[float, float] | None = None
    """Adam's β₁ and β₂ (default 0.9 0.999)."""
    eps: float | None = None
    """Adam's eps, or ε of CADAM (default 1e-8)."""
    weight_decay: float | None = None
    """AdamW's weight_decay (default 0.01), or CADAM's rate w in x' = −w x (default 0)."""
    gamma: float | None = None
    """Linear friction γ."""
    alpha: float | None = None
    """Decay rate α of ξ (IKFAD) or ζ (CADAM)."""
    mu: float | None = None
    """IKFAD's thermal mass μ."""
    c: float | None = None
    """Cubic friction c."""
    max_step: float | None = None
    """The most a coordinate may move in a step, which gives c."""
    bias_correction: bool = False
    """CADAM with the drift of torch's Adam."""
    word: str | None = None
    """Word to run (default: BAD for SGD, else the dynamics' own)."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before anything is printed."""
        needed, others = _TAKES[self.method]
        values = {name: value for name, value in vars(self).items() if name != "method"}
        given = [name for name, value in values.items() if value is not None and value is not False]
        for name in given:
            if name not in (*needed, *others):
                raise BadCallError(
                    f"{self.method} takes no {_flag(name)}; it takes {_flags((*needed, *others))}"
                )
        missing = [name for name in needed if name not in given]
        if missing:
            raise BadCallError(f"{self.method} needs {_flags(missing)}")
        try:
            self.answer()
        except ValueError as error:
            raise BadCallError(str(error)) from None

    def run(self) -> int:
        print("\n".join(self.answer()))
        return 0

    def answer(self) -> list[str]:
        """The lines to print. Raises ValueError for values that cannot be converted."""
        match self.method:
            case "SGD":
                return self._sgd()
            case "Adam" | "AdamW":
                return self._adam()
            case "LDHD":
                made = LDHD(_given(self.gamma))
                return _there(convert.to_sgd(made, self.word, _given(self.lr)))
            case "NAG":
                made = NAG(_given(self.gamma), _given(self.lr))
                return _there(convert.to_sgd(made, "BDFA", _given(self.lr)))
            case "CADAM":
                return self._cadam()
            case "IKFAD":
                return self._ikfad()
            case "CD":
                return self._cd()

    def _sgd(self) -> list[str]:
        lr, momentum, dampening = _given(self.lr), self.momentum or 0.0, self.dampening or 0.0
        made = convert.from_sgd(
            lr, momentum, dampening, self.weight_decay or 0.0, self.nesterov, self.word
        )
        lines = _here(made)
        if momentum == 0:
            return lines
        gamma = made.dynamics.hyperparameters["gamma"]
        law = "x' = p − h ∇f, p' = −∇f − γp" if self.nesterov else "x' = p, p' = −∇f − γp"
        lines += _row("flow", f"{law} with γ = {gamma:.6g}; a step is the time {made.lr:.6g}")
        if momentum < 1:
            slow = convert.effective_lr(lr, momentum, dampening)
            lines += _row(
                "effective lr",
                f"lr (1 − τ)/(1 − β) = {slow:.6g}, also the gradient-flow time of a slow step",
            )
        if not (self.nesterov or dampening):
            model = convert.ode_model_of_sgd(lr, momentum)
            gamma = model.dynamics.hyperparameters["gamma"]
            lines += _row(
                "closer flow",
                f"γ = {gamma:.6g}, h = {model.lr:.6g}, p₀ = −(h/2) ∇f(x₀): error O(h²), not O(h)",
            )
        return lines

    def _adam(self) -> list[str]:
        decay = _DECAY[self.method] if self.weight_decay is None else self.weight_decay
        made = convert.from_adam(
            1e-3 if self.lr is None else self.lr,
            self.betas or (0.9, 0.999),
            1e-8 if self.eps is None else self.eps,
            decay,
            decoupled=self.method == "AdamW",
            word=self.word,
        )
        v = made.dynamics.hyperparameters
        gamma, alpha = v["gamma"], v["alpha"]
        law = "x' = p/(√ζ + ε), p' = −∇f − γp, ζ' = (∇f)² − αζ, with torch's correction of the bias"
        values = (
            f"γ = {gamma:.6g}, α = {alpha:.6g}, γ/α = {gamma / alpha:.6g}; "
            f"a step is the time {made.lr:.6g}"
        )
        return [*_here(made), *_row("flow", law), *_row("", values)]

    def _cadam(self) -> list[str]:
        lr, gamma, alpha, c = _given(self.lr), _given(self.gamma), _given(self.alpha), self.c or 0.0
        eps = 1e-8 if self.eps is None else self.eps
        made = CADAM(gamma, alpha, c, eps, self.bias_correction)
        return _there(convert.to_adam(made, self.word, lr, self.weight_decay or 0.0))

    def _ikfad(self) -> list[str]:
        made = convert.ikfad_to_cd(IKFAD(self.gamma or 0.0, _given(self.alpha), _given(self.mu)))
        c = made.hyperparameters["c"]
        lines = [*_row("CD", f"c = 1/(αμ) = {c:.15g}{self._shared()}"), *_row("", _LIMIT)]
        return lines if self.lr is None else [*lines, *_cap(self.lr, c)]

    def _cd(self) -> list[str]:
        lr, c = self.lr, self.c
        if c is not None and self.max_step is not None:
            raise ValueError("give --c or --max-step, not both")
        lines: list[str] = []
        if lr is not None and self.max_step is not None:
            c = convert.max_step_to_c(lr, self.max_step)
            lines += _row("cubic", f"c = h/(2 max_step²) = {c:.15g}")
            lines += _row("", "caps the move where C stands between kick and drift, as in BCDA")
        elif lr is not None and c:
            lines += _cap(lr, c)
        if c is not None and self.alpha is not None:
            made = convert.cd_to_ikfad(CD(self.gamma or 0.0, c), self.alpha)
            mu = made.hyperparameters["mu"]
            lines += _row(
                "IKFAD", f"alpha = {self.alpha!r}, mu = 1/(cα) = {mu:.15g}{self._shared()}"
            )
            lines += _row("", _LIMIT)
        if lr is not None and self.gamma is not None:
            torch = convert.to_sgd(CD(self.gamma, 0.0), self.word, lr)
            lines += [*_code("torch", torch.code()), *_row("", _NO_CUBE)] if c else _there(torch)
        elif self.word is not None:
            raise ValueError("--word goes with --lr and --gamma (as SGD, for c → 0)")
        capless = self.max_step is not None and lr is None
        if not lines or capless or (self.alpha is not None and c is None):
            raise ValueError(
                "CD needs --lr with --max-step (gives c), --lr with --c (gives the largest step), "
                "--c with --alpha (gives IKFAD), or --lr with --gamma (gives SGD)"
            )
        return lines

    def _shared(self) -> str:
        return "" if self.gamma is None else f", gamma = {self.gamma!r}"


def _given(value: float | None) -> float:
    """A needed option, which `check` has seen to be there."""
    assert value is not None
    return value


def _here(made: Equivalent) -> list[str]:
    line = made.code()
    rooms = [name for name in ("optim", "convert") if f"{name}." in line]
    imports = f"from dashpot.integrators import {', '.join(rooms)}"
    if "dynamics." in line:
        imports = f"from dashpot import dynamics; {imports}"
    return [*_code("import", imports), *_code("dashpot", line), *_notes(made.notes)]


def _there(made: TorchEquivalent) -> list[str]:
    return [*_code("torch", made.code()), *_notes(made.notes)]


def _cap(lr: float, c: float) -> list[str]:
    most = convert.c_to_max_step(lr, c)
    return _row("largest step", f"√(h/(2c)) = {most:.15g} a coordinate in BCDA")


def _notes(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in _row("", note)]


def _code(label: str, line: str) -> list[str]:
    """A line to copy: never broken."""
    return [f"{label:<15}{line}"]


def _row(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent=f"{label:<15}", subsequent_indent=" " * 15, break_long_words=False
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _flags(names: Sequence[str]) -> str:
    return ", ".join(map(_flag, names))
