"""README's examples run as printed, and its two commands are the ones that are tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 7
    assert len([line for line in blocks[0].splitlines() if line]) <= 10
    (tmp_path / "example.py").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        env={"MPLBACKEND": "Agg", "PATH": os.environ.get("PATH", "")},  # the path to a C compiler
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "exponential" in done.stdout
    printed = re.findall(r"rate=([0-9.]+)", done.stdout)
    rate = float(printed[0])
    assert abs(rate - 0.5) < 0.025  # γ, as the comment in the example says
    assert "True" in done.stdout.splitlines()  # the trajectory that does not know its batch
    assert (tmp_path / "decay.png").stat().st_size > 0


def test_the_table_for_switchers_holds():
    """SGD and AdamW, and the optimizers README says make the same steps."""
    import torch

    from dashpot.integrators import optim

    def losses(make):
        torch.manual_seed(0)
        model = torch.nn.Linear(5, 3)
        optimizer = make(model.parameters())
        inputs = torch.randn(20, 5)
        found = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = (model(inputs) ** 4).mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return torch.tensor(found)

    sgd = losses(lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9))
    ldhd = losses(lambda p: optim.LDHD(p, lr=0.1, gamma=1.054, word="BAD"))
    torch.testing.assert_close(ldhd, sgd, rtol=2e-3, atol=0)  # γ is printed to four digits
    adam = losses(lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.0))
    (values,) = re.findall(r"`optim.CADAM\(params, (lr=0.02154.*?)\)`", README)
    cadam = losses(lambda p: eval(f"optim.CADAM(p, {values})", {"optim": optim, "p": p}))
    torch.testing.assert_close(cadam, adam, rtol=2e-3, atol=0)


def test_the_paths_that_the_pages_name_exist():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "benchmarks").glob("*.md")]
    rooms = "dynamics|integrators|landscapes|analysis|tests|notebooks|benchmarks"
    named = {
        path
        for page in pages
        for path in re.findall(rf"\b(?:{rooms})/[\w/]*\.\w+", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_commands_are_those_of_ci():
    start = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
    assert f"{start} -e '.[test]' && .venv/bin/python -m pytest" in README
    assert f"{start} . && .venv/bin/dashpot study" in README
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install = 'install --quiet -c constraints.txt -e ".[$extras]"'
    for words in ("-m venv", "extras=test\n", install, "-m pytest"):
        assert words in script
