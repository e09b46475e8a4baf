"""Why there is no kernel: the compiler's true reason, asked once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dashpot.dynamics import CD
from dashpot.integrators import simulate
from dashpot.integrators.kernels import compiled
from dashpot.landscapes import Landscape

NUMBER = "int number(void) {{ return {}; }}"


@pytest.fixture
def slow_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that writes down its calls and never comes back, but for its version."""
    calls, script = tmp_path / "calls", tmp_path / "slow-cc"
    script.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && exit\necho call >> {calls}\nexec sleep 60\n"
    )
    script.chmod(0o700)
    calls.touch()
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setenv("DASHPOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled, "_TIMEOUT", 0.3)
    monkeypatch.setattr(compiled, "_accepted", lambda compiler: ())
    monkeypatch.setattr(compiled, "_warned", [])
    return calls


needs_scripts = pytest.mark.skipif(os.name == "nt", reason="needs a shell")


@needs_scripts
def test_a_compiler_that_takes_too_long_is_not_said_to_be_missing(slow_compiler: Path) -> None:
    source = NUMBER.format(1)
    with pytest.warns(
        RuntimeWarning, match="slow-cc takes longer than 0.3 s for a kernel; what is"
    ) as caught:
        assert compiled.load(source) is None
    assert caught[0].filename == __file__  # the user's line, not one of dashpot's
    assert compiled.why(source).endswith("slow-cc takes longer than 0.3 s for a kernel")
    assert compiled.load(source) is None
    assert slow_compiler.read_text().count("call") == 1  # not tried again


@needs_scripts
@pytest.mark.filterwarnings("ignore:dashpot computes more slowly")
def test_what_a_slow_compiler_started_ends_with_it(slow_compiler: Path) -> None:
    """gcc lets other programs work: they would go on."""
    left = slow_compiler.with_name("left")
    script = f"#!/bin/sh\n[ $1 = --version ] && exit\n(sleep 1; touch {left}) & wait\n"
    Path(os.environ["CC"]).write_text(script)
    assert compiled.load(NUMBER.format(4)) is None
    time.sleep(1)
    assert not left.exists()


@needs_scripts
@pytest.mark.filterwarnings("ignore:dashpot computes more slowly")
def test_a_run_says_so(slow_compiler: Path) -> None:
    landscape = Landscape(lambda x: (x**4).sum() + (x**6).prod(), 2, start=[0.4, 0.3])
    with pytest.raises(ValueError, match=r"cannot be compiled: .*slow-cc takes longer than 0.3 s"):
        simulate(CD(0.3, 0.8), landscape, step=0.05, steps=1, backend="c")


def test_no_compiler_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(compiled, "_warned", [])
    with pytest.warns(RuntimeWarning, match="no-such-compiler.; install a C compiler"):
        assert compiled.load(NUMBER.format(2)) is None
    assert compiled.why(NUMBER.format(2)) == "there is no C compiler (CC=no-such-compiler)"


def test_where_there_is_a_library_there_is_no_reason() -> None:
    try:
        compiled.find_compiler()
    except compiled.NoCompilerError:
        pytest.skip("there is no C compiler")
    library = compiled.load(NUMBER.format(3))
    assert library is not None
    assert library.number() == 3
    assert compiled.why(NUMBER.format(3)) == ""


def test_a_first_run_loads_nothing_large() -> None:
    """sympy, which parts of torch ask for, takes as long to load as a kernel to compile."""
    code = """if True:
        import sys
        from dashpot.dynamics import IKFAD
        from dashpot.integrators import simulate
        from dashpot.landscapes import Rosenbrock

        simulate(IKFAD(1.0, 1.0, 1.0), Rosenbrock(2), step=0.01, steps=20_000)
        sys.exit("sympy" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)
