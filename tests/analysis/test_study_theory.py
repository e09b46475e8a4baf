"""The sections theory and momentum: what their rows promise."""

import json
from pathlib import Path

import pytest

from dashpot.analysis.study import momentum, theory
from dashpot.analysis.study.report import terminal_tables, write_report
from dashpot.analysis.study.run import MODULES, Results
from dashpot.analysis.study.section import Finding, Scope

LADDER_EPOCHS = 4  # as in a quick study


def test_every_section_gives_rows_and_pictures_of_nothing():
    for module in MODULES.values():
        assert not module.rows([])
        assert list(module.pictures([], Path())) == []


@pytest.mark.parametrize("quick", [True, False])
def test_jobs_have_places_of_their_own(quick):
    for name, module in MODULES.items():
        jobs = module.jobs(Scope(Path("runs"), quick))
        assert sorted(job.place for job in jobs) == list(range(len(jobs))), name
        assert {job.section for job in jobs} == {name}


def test_large_steps_lose_bacd_but_not_bcda():
    limit = {}
    for index, (made, words) in enumerate(theory.LARGE_STEPS):
        for word in words:
            (row,) = theory.take_large_steps(index, word).rows
            limit[made.name, word] = row["bounded"]
    for name in ("CD", "IKFAD"):
        # beyond √2 the drift of an uncapped kick is gradient descent with lr h², which diverges
        assert 1.0 <= limit[name, "BACD"] < 1.5
        assert limit[name, "BACDCAB"] < 2.1
        assert limit[name, "BCDA"] >= 10 and limit[name, "BCDADCB"] >= 10
    assert limit["LDHD", "BAD"] >= 1.5


def test_the_same_on_a_network():
    rows = theory.train_ladder(0, LADDER_EPOCHS).rows
    assert {row["factor"] for row in rows} == {1.0, 2.0, 4.0, 8.0}
    for row in rows:
        lost = row["word"] == "BACD" and row["factor"] > 1
        assert (row["status"] in ("lost", "diverged")) == lost, row
        assert (row["train_loss"] < row["untrained_loss"]) != lost


@pytest.mark.parametrize("index", range(len(theory.AUDITED)))
def test_the_energy_is_accounted_for(index):
    finding = theory.audit(index)
    (row,) = finding.rows
    energy = finding.drawn.run.energy
    assert sum(row["removed"].values()) == pytest.approx(float(energy[-1] - energy[0]), rel=1e-12)
    symmetric = row["word"] == row["word"][::-1]
    # h = 0.1: the shadow work of a word of order q is of the order of h^q of the energy spent
    assert abs(row["shadow"]) < (0.1 if symmetric else 1.0) * 0.1 * abs(row["total"])


@pytest.mark.parametrize("index", range(len(theory.CERTIFIED)))
def test_certificates_hold_or_say_which_assumption_does_not(index):
    made, landscape = theory.CERTIFIED[index]
    (row,) = theory.certify(index).rows
    values = made.hyperparameters
    fails = landscape.m is None or (made.name == "CADAM" and values["gamma"] < values["alpha"] / 4)
    assert bool(row["failed"]) == fails
    assert row["holds"] == (not fails)
    if not fails:
        assert row["violation"] <= 1e-8


def test_rank_one_friction_decays_as_averaging_says():
    inverse, inverse_square = theory.rank_one(0, 300.0).rows
    assert inverse["eps"] == 0 and inverse["q"] == 1 and inverse_square["q"] == 2
    assert inverse["second"] == pytest.approx(1.1, rel=0.02)  # the next term is of size E < 0.02
    limit, predicted = inverse_square["limit"], inverse_square["predicted"]
    assert limit == pytest.approx(26, rel=1e-12)
    correction = 1 - predicted / limit  # of first order in E: the next one is of its square
    assert abs(inverse_square["second"] - predicted) < 2 * correction**2 * limit


def test_the_table_of_words_names_adjoints():
    rows = theory.search_words(1).rows
    by_word = {row["word"]: row for row in rows}
    assert by_word["BAD"]["adjoint"] == "BDA" and by_word["BDA"]["adjoint"] == "BAD"
    assert by_word["BADAB"]["adjoint"] is None and by_word["BADAB"]["order"] == 2


def test_the_theorems_hold():
    finding = momentum.measure(0.9, quick=True)
    for row in finding.rows:
        tolerance = 0.1 if row["quantity"].startswith("slope") else 0.01 * row["predicted"]
        assert abs(row["measured"] - row["predicted"]) <= tolerance, row


def test_the_other_equations():
    for row in momentum.measure_equations().rows:
        exact = not row["quantity"].startswith("slope")
        assert abs(row["measured"] - row["predicted"]) <= (1e-8 if exact else 0.1), row


def test_a_study_that_was_interrupted_has_a_page(tmp_path):
    (tmp_path / "runs").mkdir()
    finished = {"theory": [theory.certify(0)], "momentum": [momentum.measure_equations()]}
    for part in ({}, finished, {"theory": [theory.audit(0)]}):
        results = Results(part, interrupted=True)
        page = write_report(tmp_path, results.as_json(), results.pictures(tmp_path / "runs"))
        assert "interrupted" in page.read_text(encoding="utf-8")
    shown = terminal_tables(Results(finished).as_json())
    assert "high-resolution equation, matched velocity" in shown and "proved rate" in shown


def test_pictures_and_rows_are_complete(tmp_path):
    word, large = theory.LARGE_STEPS[0][1][0], theory.take_large_steps(0, "BCDA")
    findings = [
        theory.take_large_steps(0, word),
        large,
        theory.draw_map("BAD"),
        theory.audit(0),
        theory.certify(0),
    ]
    shown = {picture.stem for picture in theory.pictures(findings, tmp_path)}
    assert shown == {"bounded", "stability", "rates", "audit"}
    rows = theory.rows(findings)
    assert set(rows) == {"bounded", "audit", "certificate"}
    json.dumps(rows, allow_nan=False)
    assert theory.rows([Finding("words", ({"a": 1},)), Finding("words", ({"a": 2},))]) == {
        "words": [{"a": 1}, {"a": 2}]
    }
