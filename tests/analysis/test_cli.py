"""The command line: bad calls end with one line and code 2 before any work is done."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from dashpot import analysis
from dashpot.analysis import public
from dashpot.analysis.__main__ import main
from dashpot.analysis.study.cases import cases


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["study", "word", "convert"]),
        (["stud"], ["'stud'", "word, convert", "did you mean study?"]),
        (["word", "BCDA", "--step", "a"], ["--step", "'a'"]),
        (["word", "BCDA", "--dynamics", "cd"], ["did you mean CD?"]),
        (["word", "--gradients", "0"], ["--gradients", ">= 1", "0"]),
        (["convert", "Adam", "--betas", ".9"], ["--betas", "2"]),
        (["study", "--bar"], ["--bar"]),
        (["study", "--seed", "x"], ["--seed", "x"]),
        (["study", "--seed", "-1"], ["--seed", "from 0 to", "-1"]),
        (["study", "--only", "decay", "tea"], ["tea", "decay", "order", "training"]),
        (["study", "--device", "abacus"], ["--device", "abacus"]),
        (["study", "--out", "taken"], ["taken", "exists", "--overwrite"]),
        (["study", "--out", "precious", "--overwrite"], ["precious", "not a study", "new one"]),
        (["study", "--out", "precious"], ["precious", "not a study", "new one"]),
        (["study", "--out", "link", "--overwrite"], ["link", "name a folder"]),
        (["study", "--out", ".", "--overwrite"], ["the folder you are in"]),
        (["study", "--overwrite"], ["--out"]),
        (["study", "--seed", str(2**40)], ["--seed", "2³¹", str(2**40)]),
        (["study", "--device", "meta"], ["--device", "meta", "cpu and cuda"]),
        (["study", "--out", "file"], ["file", "folder"]),
        (["study", "--out", "file/inside"], ["file"]),
    ],
)
def test_bad_calls(arguments, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "results.json").write_text("{}")
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "taken")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("dashpot: ") and error.count("\n") == 1
    for word in words:
        assert word in error
    assert "[bold]" not in error and "{None}" not in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["study", "--out", str(tmp_path / "new")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dashpot {version('dashpot')}\n"


def test_a_command_loads_what_it_needs_alone():
    """Figures, statistics and solvers would double the time to the first line."""
    program = (
        "import sys; from dashpot.analysis.__main__ import main; main(['train', 'tea'])\n"
        "print(*{'matplotlib', 'scipy', 'sklearn', 'torchdiffeq', 'sympy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "no task 'tea'" in done.stderr
    assert done.stdout == "\n"


def test_all_that_is_offered_is_there():
    assert set(public.__all__) <= set(dir(analysis))
    for name in public.__all__:
        assert getattr(analysis, name).__module__.startswith("dashpot.analysis.")
    with pytest.raises(AttributeError, match="decay_rat"):
        getattr(analysis, "decay_rat")  # noqa: B009


def test_help_ends_well(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["study", "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--quick", "--out", "--seed", "--only", "--device", "--overwrite"):
        assert option in shown


def test_one_section_from_the_shell_and_overwrite(tmp_path):
    out = tmp_path / "report"
    command = [
        sys.executable,
        "-m",
        "dashpot.analysis",
        "study",
        "--quick",
        "--only",
        "order",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "BCDADCB" in done.stdout and str(out / "index.html") in done.stdout
    saved = json.loads((out / "results.json").read_text())
    assert saved["order"] and not saved["decay"] and not saved["interrupted"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "http" not in page  # nothing is fetched
    assert (out / "orders.png").exists() and (out / "orders.svg").exists()
    (out / "note.txt").write_text("of the study before")
    (tmp_path / "report-replaced-001").mkdir()  # somebody's folder, not ours to remove
    command.remove("study")  # it is what the module does by default
    again = subprocess.run([*command, "--overwrite"], capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert not (out / "note.txt").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"report", "report-replaced-001"}


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_what_is_finished(tmp_path):
    out = tmp_path / "report"
    process = subprocess.Popen(
        [sys.executable, "-m", "dashpot.analysis", "study", "--only", "decay", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not (out / "results.json").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    saved = json.loads((out / "results.json").read_text())
    assert saved["interrupted"] and 0 < len(saved["decay"]) < len(cases(quick=False))
    assert "interrupted" in (out / "index.html").read_text(encoding="utf-8")
