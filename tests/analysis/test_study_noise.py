"""The section on noise: what its rows promise."""

import json
from pathlib import Path

import pytest

from dashpot.analysis.study import noise
from dashpot.analysis.study.report import terminal_tables, write_report
from dashpot.analysis.study.run import Results


@pytest.fixture(scope="module")
def laws():
    return noise.laws(quick=True)


@pytest.fixture(scope="module")
def clusters():
    return noise.clusters(quick=True)


def test_simulations_agree_with_the_exact_laws(laws):
    for row in laws.rows:
        assert abs(row["x2_measured"] - row["x2"]) < 4 * row["x2_error"], row
        assert abs(row["p2_measured"] - row["p2"]) < 4 * row["p2_error"], row
        assert row["x2_error"] < 0.02 * row["x2"]  # the errors say something


def test_paths_have_their_strong_orders():
    for row in noise.paths(quick=True).rows:
        order = 2 if row["word"] == "UBU" else 1
        assert row["order"] == pytest.approx(order, abs=0.15)


@pytest.fixture(scope="module")
def wells():
    return noise.wells(quick=True)


def test_the_small_step_samples_the_gibbs_law_and_the_large_one_does_not(wells):
    small, large = wells.rows
    for name in ("virial", "configurational"):
        assert abs(small[name] - small["temperature"]) < 4 * small[f"{name}_error"]
    off = large["configurational"] - large["temperature"]
    assert off > 6 * large["configurational_error"] > 0
    assert small["p_value"] > 1e-4 > large["p_value"]


def test_annealing_finds_the_icosahedron(clusters):
    quench, annealed = clusters.rows
    assert quench["found"] > 0 and annealed["rate"] > quench["rate"]
    assert annealed["best"] == pytest.approx(-44.326801, abs=1e-6)


def test_the_report_has_them(laws, wells, clusters, tmp_path):
    results = Results(finished={"noise": [laws, wells, clusters]})
    data = results.as_json()
    json.dumps(data, allow_nan=False)
    page = write_report(tmp_path, data, results.pictures(Path())).read_text()
    assert "Laws of words" in page and "0.9375" in page and "-44.326801" in page
    assert (tmp_path / "laws.png").exists() and (tmp_path / "cluster.png").exists()
    assert "benchmarks/clusters.md in the repository" in " ".join(page.split())
    shown = terminal_tables(data)
    assert "OBABO" in shown and "configurational" in shown
    for row in wells.rows:
        kinetic = f"{row['kinetic']:.4g} ± {row['kinetic_error']:.2g}"
        assert any(f"{row['step']:g}" in line and kinetic in line for line in shown.splitlines())
