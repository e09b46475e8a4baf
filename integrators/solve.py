"""Adaptive reference solutions, by scipy or (GPU, batches, gradients) by torchdiffeq."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..dynamics import Dynamics, State
from .field import Field
from .start import first_state, on_tensors, refuse_shapes
from .trajectory import Status, Trajectory, record

SCIPY = ("DOP853", "LSODA", "Radau")
TORCHDIFFEQ = ("dopri5", "dopri8")


def solve(
    dynamics: Dynamics,
    landscape: Field,
    x0: Any = None,
    *,
    until: float,
    method: str = "DOP853",
    rtol: float = 1e-10,
    atol: float = 1e-12,
    times: Any = None,
    stop_below: float | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> Trajectory:
    """Solve the ODE of a dynamics with an adaptive method of high order.

    until       final time
    method      scipy: "DOP853" (order 8; the default), "LSODA" (switches to a stiff method: iKFAD
                with α above 100), "Radau" (implicit, order 5). torchdiffeq: "dopri5", "dopri8":
                any device, and gradients with respect to x0 (and hyperparameters given as
                tensors) flow through the result. A batch is solved as one system.
    rtol, atol  relative and absolute tolerance of a step; rtol is at least 10 times the rounding
                error of the dtype
    times       output times, increasing, within [0, until]; None: 401 equally spaced ones (101
                for torchdiffeq; dopri8 steps onto every one, its interpolation being coarse)
    stop_below  end the run when the largest mechanical energy of the batch falls below this
                (scipy only). CADAM stiffens as it converges: stop its runs at 1e-14.
    x0, dtype, device, progress   as for `simulate`

    Returns a `Trajectory`. If the method finds no step small enough, the status is "underflow"
    ("diverged" if the state had grown a million times by then), what was computed is kept, and
    the message describes the state at which it happened. Raises ValueError or TypeError for
    arguments that do not fit, and for a dynamics with noise.
    """
    if isinstance(dynamics, Dynamics) and dynamics.is_noisy:
        raise ValueError(
            f"{dynamics.name} has noise, and solve is for ODEs; use simulate with a seed (noise=1)"
        )
    if method not in (*SCIPY, *TORCHDIFFEQ):
        raise ValueError(
            f"unknown method {method!r}; choose one of {', '.join((*SCIPY, *TORCHDIFFEQ))}"
        )
    for name, value in (("until", until), ("rtol", rtol), ("atol", atol)):
        if not _is_positive(value):
            raise ValueError(f"{name} must be a finite number > 0; got {value!r}")
    until, rtol, atol = float(until), float(rtol), float(atol)
    grid = _output_times(times, until, 401 if method in SCIPY else 101)
    s = first_state(dynamics, landscape, x0, dtype, device)
    rtol = max(rtol, 10 * torch.finfo(s.x.dtype).eps)
    dynamics = on_tensors(dynamics, s.x.device)
    refuse_shapes(dynamics, s)
    problem = _Problem(dynamics, landscape, s)
    if method in SCIPY:
        if s.x.device.type != "cpu":
            raise ValueError(f"{method} runs on the CPU; use dopri5 or dopri8 on {s.x.device}")
        if stop_below is not None and landscape.minimum is None:
            raise ValueError(
                f"stop_below needs the minimum of {landscape.name}, which is not known"
            )
    elif stop_below is not None:
        raise ValueError(f"stop_below needs one of {', '.join(SCIPY)}; got {method}")
    total = round(until, 9)
    with tqdm(total=total, disable=not progress, desc=dynamics.name, unit="t") as bar:
        if method in SCIPY:
            outcome = _by_scipy(problem, grid, until, method, rtol, atol, stop_below, bar)
        else:
            outcome = _by_torchdiffeq(problem, grid, method, rtol, atol, bar)
    settings = {
        "method": method,
        "rtol": rtol,
        "atol": atol,
        "until": until,
        "dtype": str(s.x.dtype).removeprefix("torch."),
        "device": str(s.x.device),
    }
    return record(
        dynamics,
        landscape,
        outcome.times,
        problem.unpack(outcome.states),
        settings,
        status=outcome.status,
        message=outcome.message,
        stopped_at=torch.full(s.x.shape[s.rank :], -1),
    )


@dataclass
class _Outcome:
    times: Tensor  # [T]
    states: Tensor  # [T, all variables flattened]
    status: Status = "finished"
    message: str = ""


_OUTPUTS_AT_ONCE = 16


class _StuckError(Exception):
    """The solver keeps asking for rates that are not finite."""


_PATIENCE = 1000  # DOP853 shrinks its step from 1 to nothing in 300 such evaluations


def _as_numpy(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return float(value) if np.ndim(value) == 0 else value


class _Problem:
    """The ODE as one flat vector of all variables."""

    def __init__(self, dynamics: Dynamics, landscape: Field, s: State) -> None:
        self.dynamics = dynamics
        self.landscape = landscape
        self.lost = 0  # evaluations in a row whose rate was not finite
        self.rank = s.rank
        self.names = dynamics.variables
        first = {name: getattr(s, name) for name in self.names}
        self.shapes = {name: tuple(value.shape) for name, value in first.items()}
        self.dtypes = {name: value.dtype for name, value in first.items()}
        numbers = {k: _as_numpy(v) for k, v in dynamics.hyperparameters.items()}
        self.on_numpy = dynamics.bind(numbers)  # scipy's states are arrays: no tensors among them
        self.start = torch.cat([v.to(s.x.dtype).reshape(-1) for v in first.values()])
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])
        self.places = dict(zip(self.names, map(slice, [0, *ends[:-1]], ends), strict=True))

    def state(self, y: Any) -> State:
        """The variables as views into the flat vector (numpy or torch)."""
        views = {n: y[self.places[n]].reshape(self.shapes[n]) for n in self.names}
        return State(views, self.rank)

    def unpack(self, ys: Tensor) -> dict[str, Tensor]:
        return {
            n: ys[:, self.places[n]].reshape(len(ys), *self.shapes[n]).to(self.dtypes[n])
            for n in self.names
        }

    def rate_numpy(self, y: np.ndarray) -> np.ndarray:
        s = self.state(y)
        s.g = self.landscape.df(torch.from_numpy(s.x)).detach().numpy()
        rates = self.on_numpy.rate(s)
        out = np.zeros_like(y)
        for name, value in rates.items():
            out[self.places[name]] = np.reshape(value, -1)
        self._watch(bool(np.isfinite(out).all()))
        return out

    def rate_torch(self, y: Tensor) -> Tensor:
        s = self.state(y)
        s.g = self.landscape.df(s.x)
        rates = self.dynamics.rate(s)
        zeros = {n: torch.zeros_like(getattr(s, n)) for n in self.names if n not in rates}
        out = torch.cat([{**rates, **zeros}[n].reshape(-1).to(y.dtype) for n in self.names])
        self._watch(bool(torch.isfinite(out).all()))
        return out

    def _watch(self, finite: bool) -> None:
        """Some solvers retry a state that is not finite for ever."""
        self.lost = 0 if finite else self.lost + 1
        if self.lost > _PATIENCE:
            raise _StuckError

    def mechanical_energy(self, y: np.ndarray) -> float:
        s = self.state(torch.from_numpy(y))
        potential = self.landscape.f(s.x) - (self.landscape.minimum or 0.0)
        return float(torch.as_tensor(self.dynamics.mechanical_energy(s, potential)).max())

    def describe(self, t: float, y: Any) -> str:
        """Where a run stopped, and which variable changes fastest there."""
        self.lost = 0
        y = torch.as_tensor(y).detach().to("cpu", torch.float64).numpy()
        s = self.state(y)
        sizes = ", ".join(f"|{n}| = {np.abs(getattr(s, n)).max():.3g}" for n in self.names)
        with np.errstate(all="ignore"):
            rate = self.rate_numpy(y)
            speed = self.state(np.abs(rate) / (np.abs(y) + 1e-300))
        wild = [n for n in self.names if not np.isfinite(getattr(self.state(rate), n)).all()]
        fastest = max(self.names, key=lambda n: np.nan_to_num(getattr(speed, n)).max())
        pace = f"the rate of {wild[0]} is not finite" if wild else f"{fastest} changes fastest"
        least = ""
        if "zeta" in self.names:
            least = f", smallest zeta = {np.min(s.zeta):.3g} (the drift divides by its root)"
        return f"t = {t:.6g} with {sizes}{least}; {pace} there"


def _failure(problem: _Problem, t: float, y: Any) -> tuple[Status, str]:
    flat = torch.as_tensor(y).detach()
    start = float(problem.start.detach().abs().max())
    lost = not bool(torch.isfinite(flat).all()) or float(flat.abs().max()) > 1e6 * max(start, 1.0)
    status: Status = "diverged" if lost else "underflow"
    what = "the solution blows up" if lost else "no step is small enough for the tolerance"
    where = problem.describe(t, y)
    hint = "" if lost else ". A stiff method (LSODA, Radau), or stop_below, may help"
    if "not finite" in where:
        hint = ". Start where every rate is finite: for example with a positive zeta, or t"
    return status, f"{what} at {where}{hint}"


def _refuse_singular_start(problem: _Problem, y: np.ndarray) -> None:
    """An implicit method takes a wrong first step, unnoticed, where the Jacobian is infinite."""
    if not np.isfinite(problem.rate_numpy(y)).all():
        return  # the solver itself will notice
    for k in range(len(y)):
        nudged = y.copy()
        nudged[k] += 1e-8 * max(1.0, abs(y[k]))
        if not np.abs(problem.rate_numpy(nudged)).max() < 1e100:
            raise ValueError(
                f"Radau cannot start at a singular point: {problem.describe(0.0, nudged)}. Give "
                "x0 a positive zeta or the dynamics a positive eps, or use DOP853 or LSODA"
            )


def _by_scipy(
    problem: _Problem,
    grid: np.ndarray,
    until: float,
    method: str,
    rtol: float,
    atol: float,
    stop_below: float | None,
    bar: Any,
) -> _Outcome:
    """Step one of scipy's solvers by hand, so that whatever ends a run loses nothing."""
    from scipy import integrate  # half a second, for optimizers too if it were done above

    times: list[float] = []
    states: list[np.ndarray] = []
    status: Status = "finished"
    message = ""
    t, y = 0.0, problem.start.detach().to(torch.float64).numpy()
    if method == "Radau":
        with np.errstate(all="ignore"):
            _refuse_singular_start(problem, y)
    if grid[0] == 0.0:
        times, states, grid = [0.0], [y], grid[1:]
    with np.errstate(all="ignore"), warnings.catch_warnings():  # overflow is told by the status
        warnings.simplefilter("ignore")
        try:
            solver = getattr(integrate, method)(
                lambda _, y: problem.rate_numpy(y), 0.0, y, until, rtol=rtol, atol=atol
            )
            idle = 0
            while solver.status == "running":
                solver.step()
                idle = idle + 1 if solver.t - t <= 4 * np.finfo(float).eps * t else 0
                failed = solver.status == "failed" or idle > _PATIENCE  # LSODA goes on at one time
                if failed or not np.isfinite(solver.y).all():
                    status, message = _failure(problem, t, y)
                    break
                bar.update(solver.t - t)
                t, y = solver.t, solver.y.copy()
                due = int(np.searchsorted(grid, t, side="right"))
                if due:
                    dense = solver.dense_output()
                    times += list(grid[:due])
                    states += list(dense(grid[:due]).T)
                    grid = grid[due:]
                if stop_below is not None and problem.mechanical_energy(y) < stop_below:
                    status, message = "stopped", f"the energy fell below {stop_below:g}"
                    break
        except KeyboardInterrupt:
            status, message = "interrupted", f"interrupted at {problem.describe(t, y)}"
        except _StuckError:
            status, message = _failure(problem, t, y)
        except ValueError as error:  # an implicit method met a Jacobian that is not finite
            status, message = _failure(problem, t, y)
            message += f" ({error})"
    if not times or (status != "finished" and t > times[-1]):
        times.append(t)
        states.append(y)
    return _Outcome(
        torch.tensor(times, dtype=torch.float64),
        torch.from_numpy(np.stack(states)),
        status,
        message,
    )


def _by_torchdiffeq(
    problem: _Problem, grid: np.ndarray, method: str, rtol: float, atol: float, bar: Any
) -> _Outcome:
    import torchdiffeq

    latest: list[Any] = [0.0, problem.start]

    def rate(t: Tensor, y: Tensor) -> Tensor:
        now = float(t.detach())
        if now > latest[0] and bool(torch.isfinite(y).all()):
            bar.update(now - latest[0])
            latest[:] = [now, y.detach()]
        return problem.rate_torch(y)

    def advance(y: Tensor, times: Tensor) -> Tensor:
        """States at `times`, from y at the first of them."""
        return torchdiffeq.odeint(  # pyright: ignore[reportReturnType]  (a tensor for tensor y0)
            rate,
            y,
            times,
            method=method,
            rtol=rtol,
            atol=atol,
            options={"step_t": times} if method == "dopri8" else None,
        )

    # piece by piece, so that whatever ends the run loses at most the piece it was in
    times = torch.as_tensor(np.union1d([0.0], grid), device=problem.start.device)
    states = [problem.start[None]]
    done, size = 1, _OUTPUTS_AT_ONCE
    status: Status = "finished"
    message = ""
    try:
        while done < len(times):
            try:
                states.append(advance(states[-1][-1], times[done - 1 : done + size])[1:])
                done += size
            except (AssertionError, _StuckError):
                if size == 1:
                    status, message = _failure(problem, *latest)
                    break
                size = 1  # reach the last output before the failure
    except KeyboardInterrupt:
        status, message = "interrupted", f"interrupted at {problem.describe(*latest)}"
    found = torch.cat(states)
    kept = times[: len(found)]
    if grid[0] > 0 and len(found) > 1:
        kept, found = kept[1:], found[1:]
    return _Outcome(kept, found, status, message)


def _is_positive(value: Any) -> bool:
    try:
        return math.isfinite(float(value)) and float(value) > 0
    except (TypeError, ValueError):
        return False


def _output_times(times: Any, until: float, default: int) -> np.ndarray:
    if times is None:
        return np.linspace(0.0, until, default)
    if isinstance(times, Tensor):
        times = times.detach().cpu()
    grid = np.asarray(times if not isinstance(times, Sequence) else list(times), dtype=float)
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise ValueError(f"times must be a list of increasing finite numbers; got {times!r}")
    if grid[0] < 0 or grid[-1] > until:
        raise ValueError(
            f"times must lie within [0, until = {until:g}]; got {grid[0]:g} to {grid[-1]:g}"
        )
    return grid
