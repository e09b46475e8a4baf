"""The study: run every section on all cores, keep what is finished, write the report."""

import json
import multiprocessing
import os
import platform
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...integrators.files import atomic
from ..order import ConvergenceOrder
from ..training import TrainingRun
from . import SECTIONS, decay, order, training
from .report import write_report
from .worker import start_worker


@dataclass
class Results:
    """What is finished so far."""

    decay: list[dict[str, Any]] = field(default_factory=list)
    order: list[ConvergenceOrder] = field(default_factory=list)
    training: list[TrainingRun] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "decay": self.decay,
            "order": [order.order_row(one) for one in self.order],
            "training": [training.training_row(run) for run in self.training],
            "versions": versions(),
            "failures": self.failures,
            "interrupted": self.interrupted,
        }


@dataclass(frozen=True)
class Job:
    """One piece of work for a worker process, and where its result goes."""

    section: str
    place: int
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


def study(
    out: Path,
    *,
    quick: bool = False,
    seed: int = 0,
    only: Iterable[str] = SECTIONS,
    device: str = "cpu",
    workers: int | None = None,
) -> Results:
    """Run the sections and write `results.json`, figures, runs and `index.html` into `out`.

    `results.json` is rewritten, atomically, after every finished piece; Ctrl-C stops the rest,
    writes the report of what is finished and sets `interrupted`.
    """
    runs = out / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    jobs = _jobs(tuple(only), quick, seed, device, runs)
    finished: dict[tuple[str, int], Any] = {}
    failures: list[str] = []
    results = Results()
    workers = workers or min(os.cpu_count() or 1, 8)
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
    bars = {
        section: tqdm(total=sum(job.section == section for job in jobs), desc=section, unit="run")
        for section in dict.fromkeys(job.section for job in jobs)
    }
    try:
        futures: dict[Future[Any], Job] = {
            pool.submit(job.call, *job.arguments): job for job in jobs
        }
        for future in as_completed(futures):
            job = futures[future]
            try:
                finished[job.section, job.place] = future.result()
            except Exception as error:  # the other pieces go on; the study says so at its end
                failures.append(f"{job.section} {job.arguments[:2]}: {error!r}")
            bars[job.section].update()
            results = _collect(finished, failures)
            write_results(out, results)
    except KeyboardInterrupt:
        results.interrupted = True
    finally:
        for bar in bars.values():
            bar.close()
        _stop(pool, at_once=results.interrupted)
    write_results(out, results)
    write_report(out, results.as_json(), results.order, results.training)
    return results


def _jobs(only: tuple[str, ...], quick: bool, seed: int, device: str, runs: Path) -> list[Job]:
    jobs = []  # the short sections first, and of the decay runs the longest
    if "order" in only:
        for place in range(len(order.CASES)):
            jobs.append(Job("order", place, order.measure_order, (place,)))
    if "training" in only:
        for place, pair in enumerate(training.jobs(seed, quick)):
            jobs.append(Job("training", place, training.run_training, (*pair, device)))
    if "decay" in only:
        found = decay.cases(quick)
        for place in sorted(range(len(found)), key=lambda i: -found[i].until / found[i].step):
            arguments = (found[place], str(runs), device)
            jobs.append(Job("decay", place, decay.run_case, arguments))
    return jobs


def _collect(finished: dict[tuple[str, int], Any], failures: list[str]) -> Results:
    ordered = [(section, finished[section, place]) for section, place in sorted(finished)]
    pick = {s: [value for section, value in ordered if section == s] for s in SECTIONS}
    words = [one for group in pick["order"] for one in group]
    return Results(pick["decay"], words, pick["training"], failures)


def write_results(out: Path, results: Results) -> None:
    with atomic(out / "results.json", "w") as handle:
        json.dump(results.as_json(), handle, indent=1, allow_nan=False)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("dashpot", "numpy", "scipy", "torch", "torchdiffeq", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[name] = "not installed"
    return found


def next_folder(parent: Path, stem: str = "study") -> Path:
    """The first unused of study-001, study-002, ..."""
    pattern = re.compile(rf"{re.escape(stem)}-(\d+)")
    taken = [int(m[1]) for path in parent.iterdir() if (m := pattern.fullmatch(path.name))]
    return parent / f"{stem}-{max(taken, default=0) + 1:03d}"


def _stop(pool: ProcessPoolExecutor, at_once: bool) -> None:
    if at_once:
        processes = list(getattr(pool, "_processes", {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        while any(process.is_alive() for process in processes):
            for process in processes:
                process.terminate()  # ends the piece it is at (see start_worker), not the next
                process.join(0.1)
    pool.shutdown(wait=True, cancel_futures=True)
