"""Grids over starts, hyperparameters and step sizes in one call."""

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from tqdm import tqdm

from ...dynamics import Dynamics
from ..advance import Backend
from ..checks import whole
from ..field import Field
from ..noise.noise import Noise
from ..schemes import Method, refuse_scheme
from ..start import first_state, noise_of_run
from ..words.word import Word
from .grid import STEP, Grid, prototype, read_axes
from .job import Job
from .ranks import Ranks
from .reductions import FinalEnergy, LeastEnergy, Reduction
from .result import Ensemble
from .saved import Saved
from .schedule import schedules
from .storage import Storage, as_path

_log = logging.getLogger(__name__)
_USUAL = (FinalEnergy(), LeastEnergy())


@torch.no_grad()
def ensemble(
    dynamics: Dynamics | type[Dynamics],
    landscape: Field,
    x0: Any = None,
    *,
    grid: Mapping[str, Any] | None = None,
    step: float | None = None,
    steps: int | None = None,
    until: float | None = None,
    word: str | Word | None = None,
    method: Method | None = None,
    noise: int | Noise | None = None,
    reduce: Reduction | Sequence[Reduction] = _USUAL,
    store: str | Sequence[str] = (),
    every: int | None = None,
    backend: Backend = "auto",
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    chunk: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Ensemble:
    """Run every start with every combination of hyperparameters and step sizes on a grid.

        ensemble(CD, Rosenbrock(2), grid={"gamma": np.geomspace(1e-3, 10, 64),
                 "c": np.geomspace(0.1, 1e6, 64)}, step=0.01, until=200.0,
                 reduce=[TimeToTarget(1e-6), FittedRate()])["time_to_target"]    # [64, 64]

    dynamics   an instance, whose hyperparameters of the names on the grid are replaced; or its
               class, where the grid has all it needs
    x0         starts, as in `simulate`: [*batch, *shape], or a dict of variables; None: one, the
               landscape's
    grid       lists of values by the name of a hyperparameter, or "step"
    step       the step size h, where it is not on the grid
    steps      how many steps every trajectory takes; or
    until      the time they reach, in ⌈until/h⌉ steps
    reduce     what to keep of a trajectory, one or several, see `Reduction`; the final and the
               least energy unless told otherwise
    store      variables of which the saved states are kept, such as ("x",)
    every      a state is saved, and seen by the reductions, after steps 0, n, 2n, ... and the last
               one; None: n with which a trajectory saves about 1000
    chunk      trajectories that run at once, rounded up to a multiple of 64: memory beyond the
               results (and stored states) is for these alone. None: as few as cost little time, a
               thousand or a few thousand, a thirty-second of all if those are enough
    out        None; "runs.npz", written at the end, and after a chunk if half a minute has passed;
               or a folder, where every result is a memory-mapped file, and stored states are
               written as they come. If it is there, made by the same call, what it has is not
               computed again. The same call: equal settings, axes and starts, reductions with equal
               attributes (of functions: the same code, constants and captured values, in the same
               version of Python), and a landscape of the same repr with the same f, to five digits,
               at up to eight starts and eight points around the first; more of it is not compared
    word, method, noise, backend, dtype, device, progress   as in `simulate`

    Returns an `Ensemble`; the axes of its results are those of the grid in their order, then the
    starts'. A trajectory that overflows is lost, the others go on. Ctrl-C keeps the chunks that are
    done; the rest is NaN, and is computed when the call is repeated with the same `out`.

    Trajectories are numbered with the step size as the slowest axis, then the other axes in their
    order, then the starts; a trajectory has the noise of its number, as if all ran in one batch.
    Chunks change no bit of any result, as long as the gradient of a point has the same bits in
    every batch (elementwise formulas and sums over the first axis do; matrix products may not).

    Where torch.distributed runs (it is started under torchrun, with gloo), the processes take
    chunks in turn and all return the whole result, bit for bit that of one process. The first one
    writes `out`; a folder must lie on a disk that they share.

    Raises ValueError or TypeError for arguments that do not fit, and for an `out` with another
    ensemble, before anything is computed.
    """
    axes = read_axes(grid)
    made = prototype(dynamics, axes)
    plans = schedules(step, axes.get(STEP), steps, until, every)
    noise = noise_of_run(noise, made, landscape)
    start = first_state(made, landscape, x0, dtype, device)
    batch = tuple(start.x.shape[start.rank :])
    if not math.prod(batch):
        raise ValueError(f"x0 has no points, its batch has shape {batch}; give one start or more")
    for name in made.variables:
        value = getattr(start, name)
        setattr(start, name, value.reshape(*value.shape[: value.ndim - len(batch)], -1))
    if method not in (None, "word"):
        refuse_scheme(method, word)
    text = None if method else Word(made.word if word is None else word, made).text
    reductions = _reductions(reduce)
    job = Job(
        made, landscape, start, Grid(axes, batch), plans, text, method or "word", noise, backend,
        reductions, _variables(store, made, reductions),
    )  # fmt: skip
    chunk = None if chunk is None else whole("chunk", chunk)
    job = job.decided()
    return _run(job, chunk, out, progress)


def _run(job: Job, chunk: int | None, out: Any, progress: bool) -> Ensemble:
    ranks = Ranks()
    storage = _opened(job, out, ranks)
    record = storage.record
    size = job.chunk_size(chunk, ranks.size)
    mine = ranks.turn(ranks.from_first(job.pending(size, record.computed)))
    total = sum((last - first) * job.plans[run].steps for run, first, last in mine)
    who = f" (process 1 of {ranks.size})" if ranks.size > 1 else ""
    is_quiet = not progress or ranks.rank > 0 or not total
    _log.info("computed by %s on %s", job.backend, job.start.x.device)
    try:
        with tqdm(
            total=total,
            disable=is_quiet,
            desc=job.dynamics.name + who,
            unit="step",
            unit_scale=True,
        ) as bar:
            for run, first, last in mine:
                _run_chunk(job, storage, run, first, last, bar)
    except KeyboardInterrupt:
        pass  # what is done is kept; the record says how much that is
    if not storage.is_shared:
        own = record.computed.copy()
        for name in record.values:
            ranks.gather(record.values[name], own)
    ranks.wait()  # what the others have done is in the record, also where it is shared
    record.conclude()
    try:
        storage.save()
    except KeyboardInterrupt:  # a file that was half written is not there: once more
        storage.save()
    ranks.wait()
    return record


def _run_chunk(job: Job, storage: Storage, run: int, first: int, last: int, bar: Any) -> None:
    members = job.grid.members(run, first, last)

    def keep(begin: int, saved: Saved) -> None:
        for name in job.store:
            storage.write_states(name, begin, members.places, saved.stored(name).cpu().numpy())

    try:
        chunk, engine = job.begin(members, run, keep)
        chunk.run(engine, lambda steps: bar.update(steps * len(members)))
        for name, value in chunk.results().items():
            storage.write(name, members.places, value)
        storage.finish(members.places)
    except BaseException:
        storage.forget(members.places)
        raise


def _opened(job: Job, out: Any, ranks: Ranks) -> Storage:
    """Where the results go: first by the first process, so that the others find its files."""
    path, layout = as_path(out), job.layout()
    storage, refusal = None, None
    if ranks.rank == 0:
        try:
            storage = Storage(layout, path)
        except ValueError as error:
            if ranks.size == 1:
                raise
            refusal = str(error)
    refusal = ranks.from_first(refusal)
    if refusal is not None:
        raise ValueError(refusal)
    if storage is None:
        is_file = path is not None and path.suffix == ".npz"
        storage = Storage(layout, None if is_file else path, owner=False)
    return storage


def _reductions(given: Any) -> tuple[Reduction, ...]:
    found: list[str] = ["stopped_at", "computed"]
    is_list = isinstance(given, Iterable) and not isinstance(given, str)
    several: list[Any] = list(given) if is_list else [given]
    for one in several:
        if isinstance(one, type) or not isinstance(one, Reduction):
            hint = f"{one.__name__}(...)" if isinstance(one, type) else "FinalEnergy()"
            raise TypeError(f"reduce takes reductions such as {hint}; got {one!r}")
        for name in one.names:
            if not name.isidentifier():
                raise ValueError(f"the name of a result must be an identifier; got {name!r}")
            if name in found:
                raise ValueError(f"two results have the name {name!r}; give {one!r} another name=")
            found.append(name)
    return tuple(several)


def _variables(
    store: str | Sequence[str], made: Dynamics, reduce: Sequence[Reduction]
) -> tuple[str, ...]:
    if isinstance(store, str):
        store = (store,)
    if not isinstance(store, Iterable):
        raise TypeError(f'store must be names of variables, such as ("x",); got {store!r}')
    for name in store:
        if name not in made.variables:
            raise ValueError(
                f"store: {made.name} has no variable {name!r}; it has {', '.join(made.variables)}"
            )
        if any(name in one.names for one in reduce):
            raise ValueError(f"store: there is a reduction of the name {name!r}; rename it")
    return tuple(dict.fromkeys(store))
