"""The study: run every section on all cores, keep what is finished, write the report."""

import json
import multiprocessing
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...integrators.files import atomic
from . import SECTIONS, decay, momentum, noise, order, theory, training
from .report import write_report
from .section import Job, Module, Picture, Scope
from .worker import start_worker

# long jobs fill up the rest
SHORT_FIRST = ("order", "training", "momentum", "theory", "noise", "decay")
MODULES: dict[str, Module] = {
    "decay": decay,
    "order": order,
    "theory": theory,
    "momentum": momentum,
    "noise": noise,
    "training": training,
}


@dataclass
class Results:
    """What is finished so far: by section, what its jobs returned, in the order of their places."""

    finished: dict[str, list[Any]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: m.rows(self.finished.get(name, [])) for name, m in MODULES.items()},
            "versions": versions(),
            "failures": self.failures,
            "interrupted": self.interrupted,
        }

    def pictures(self, runs: Path) -> Iterator[Picture]:
        """Every section's figures for what is finished; each is closed after it was used."""
        for name, module in MODULES.items():
            yield from module.pictures(self.finished.get(name, []), runs)


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
    scope = Scope(runs, quick, seed, device)
    jobs = [job for name in SHORT_FIRST if name in only for job in MODULES[name].jobs(scope)]
    finished: dict[tuple[str, int], Any] = {}
    results = Results()
    workers = workers or min(os.cpu_count() or 1, 8)
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
    bars = {
        section: tqdm(total=count, desc=section, unit="run", disable=None)  # on terminals only
        for section, count in Counter(job.section for job in jobs).items()
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
                results.failures.append(f"{job.section} {job.arguments[:2]}: {error!r}")
            bars[job.section].update()
            results.finished = _in_order(finished)
            write_results(out, results)
    except KeyboardInterrupt:
        results.interrupted = True
    finally:
        for bar in bars.values():
            bar.close()
        _stop(pool, at_once=results.interrupted)
    write_results(out, results)
    write_report(out, results.as_json(), results.pictures(runs))
    return results


def _in_order(finished: dict[tuple[str, int], Any]) -> dict[str, list[Any]]:
    ordered: dict[str, list[Any]] = {}
    for section, place in sorted(finished):
        ordered.setdefault(section, []).append(finished[section, place])
    return ordered


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
