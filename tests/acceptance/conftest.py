"""With DASHPOT_FULL set, an acceptance test that is skipped has failed: `.ci/run --full`."""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are made here, none is fetched

FULL = bool(os.environ.get("DASHPOT_FULL"))
Report = TypeVar("Report", pytest.CollectReport, pytest.TestReport)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _counted((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _counted((yield))


def _counted(report: Report) -> Report:
    if FULL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which does not count as accepted: {report.longrepr}"
    return report
