"""Fixed-step simulation: any word on any landscape, for a batch of starting points."""

from typing import Any

import torch
from tqdm import tqdm

from ..dynamics import Dynamics, State
from .advance import Backend, advancing
from .backward import NoPastError, careful_step, largest_start, may_lack_a_past, reason_of
from .checks import positive, whole
from .field import Field
from .noise.noise import Noise
from .resume import Resumed, refuse_another_run, resumed
from .run import Run, refuse_memory
from .schemes import Method
from .start import first_state, noise_of_run, on_tensors, refuse_shapes
from .trajectory import Status, Trajectory, record
from .words.word import Word

_BLOCK = 64  # steps of torch between two looks for overflow


@torch.no_grad()
def simulate(
    dynamics: Dynamics,
    landscape: Field,
    x0: Any = None,
    *,
    step: float | None = None,
    steps: int,
    word: str | Word | None = None,
    method: Method | None = None,
    noise: int | Noise | None = None,
    save_every: int = 1,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    progress: bool = False,
    backend: Backend | None = None,
) -> Trajectory:
    """Apply a word `steps` times with step size h = `step` and save every n-th state.

    dynamics    for example CD(gamma=0.5, c=2.0)
    landscape   for example Rosenbrock(2), or Landscape(f, shape=...) for your own function
    x0          starting points `[..., *shape]` (tensor, array, list), or a dict of variables by
                name ({"x": ..., "p": ...}); the others start at zero. None: landscape's start.
                A `Trajectory`: the run goes on from its last state, with the numbers it would
                have had without the break, bit for bit; step, word, method, noise, device and
                backend are its own (a short run that began in torch goes on there, however long:
                backend="c" is faster, and differs by rounding)
    word        order of the letters; None: the dynamics' default word
    method      "word" (None); or a scheme for the whole vector field, which needs the parts'
                rates and amplitudes only: "euler-maruyama", "heun" (see `integrators.schemes`)
    noise       for a dynamics with noise (in the sense of Itô) or a landscape with sampled
                gradients: a seed or a `Noise`. Of two runs with one seed the same trajectories
                have the same noise, whatever else is in the batch
    save_every  save the states of steps 0, n, 2n, ... and the last one
    dtype       torch.float64 unless x0 is a tensor of another floating type
    device      for example "cuda"; None: where x0 is
    progress    show a progress bar
    backend     "torch", "c" (a kernel generated from the parts' flows, on the CPU), "triton" (on
                CUDA), or "auto" (None): a kernel for long runs that one can be made for. They agree
                to a few units in the last place a step; see `integrators.advance`

    Returns a `Trajectory`; time k is k·h, never a running sum. A trajectory that overflows is
    frozen while others go on; its status is "diverged", and what it had is kept. Ctrl-C returns
    what is done with status "interrupted".

    Raises ValueError or TypeError for arguments that do not fit, before anything is computed;
    ValueError also where a word with negative fractions asks a flow for more of its past than
    there is, in the first step of every trajectory. It gives a step size that works. If only
    some ask for too much, or later in the run, they are lost like those that overflow. MemoryError
    for more saved states than the machine has memory for.
    """
    going_on = None
    if isinstance(x0, Trajectory):
        going_on = resumed(x0, dynamics, landscape)
        own, device = x0.settings, x0.settings["device"] if device is None else device
        x0, step = going_on.state, own["step"] if step is None else step
        if word is None and method is None:
            word, method = own["word"], own["method"]
        if noise is None and own.get("noise"):
            noise = Noise(**own["noise"])
    method = method or "word"
    step = positive("step", step, "the step size h")
    steps, save_every = whole("steps", steps), whole("save_every", save_every)
    noise = noise_of_run(noise, dynamics, landscape)
    s = first_state(dynamics, landscape, x0, dtype, device)
    dynamics = on_tensors(dynamics, s.x.device)
    refuse_shapes(dynamics, s)
    refuse_memory(s, dynamics.variables, steps, save_every)
    settings = {
        "word": None,
        "step": step,
        "steps": steps,
        "save_every": save_every,
        "dtype": str(s.x.dtype).removeprefix("torch."),
        "device": str(s.x.device),
        "method": method,
        "noise": None if noise is None else noise.as_settings(),
    }
    engine = advancing(
        dynamics, landscape, s, step,
        word=word, method=method, noise=noise, steps=steps, insist=backend is not None,
        backend=backend or _kept_backend(going_on),
    )  # fmt: skip
    settings["backend"] = engine.backend
    plan = None
    if method == "word":
        plan = Word(dynamics.word if word is None else word, dynamics)
        settings["word"] = plan.text
    begin, lost = 0, None
    if going_on is not None:
        refuse_another_run(going_on, s, dynamics, landscape, settings)
        begin, lost = going_on.begin, going_on.lost
    run = Run(s, dynamics.variables, begin, steps, save_every, lost)
    if plan is not None and begin == 0 and may_lack_a_past(plan.substeps):
        _refuse_to_start(plan, step, s, landscape)
    status: Status = "finished"
    block = _BLOCK if engine.backend == "torch" else max(_BLOCK, steps // 100)
    with tqdm(total=steps, disable=not progress, desc=dynamics.name, unit="step") as bar:
        try:
            while run.done < run.last and not run.all_lost:
                before = run.done
                run.advance(min(block, run.last - before), engine)
                bar.update(run.done - before)
        except KeyboardInterrupt:
            status = "interrupted"
    if run.any_lost and status == "finished":
        status = "diverged"
    return record(
        dynamics,
        landscape,
        torch.tensor(run.indices, dtype=torch.float64) * step,
        run.stacked(),
        settings,
        status=status,
        message=run.message(status, step, damped=not dynamics.is_noisy),
        stopped_at=run.stopped_at.cpu(),
    )


def _kept_backend(going_on: Resumed | None) -> Backend:
    """That of the run that goes on."""
    return "auto" if going_on is None else going_on.run.settings.get("backend", "torch")


def _refuse_to_start(plan: Word, step: float, s: State, landscape: Field) -> None:
    """NoPastError with a step size that works, if the first step exists for no trajectory."""
    lost, shares = careful_step(plan.substeps, step, s.copy(), landscape.df)
    if not (lost.numel() and bool(lost.all())):
        return
    largest = largest_start(plan.substeps, step, s, landscape.df)
    if largest is None:
        helps = "no step size helps" + " every trajectory" * (lost.numel() > 1)
    else:
        helps = f"h = {largest:.3g} works"
    raise NoPastError(
        f"the word {plan.text!r} cannot start at x0 with h = {step:g}: {reason_of(shares)}; "
        f"{helps}; or take a word without negative fractions"
    )
