"""The training tasks: what their batches are made of, and what is measured on them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from dashpot.analysis.training.task import Plan, Task
from dashpot.analysis.training.tasks import TASKS, sentences
from dashpot.analysis.training.tasks.classification import ClassificationTask, at_most
from dashpot.analysis.training.tasks.language import LanguageTask
from dashpot.analysis.training.tasks.sentences import SentenceTask
from dashpot.analysis.training.tasks.vision import crop_and_flip
from dashpot.landscapes import Split
from dashpot.landscapes.data import Images, Sentences, Text
from dashpot.landscapes.networks import DistilBERT

DATA = os.environ.get("DASHPOT_DATA")
NAMES = list(TASKS)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny() -> dict[str, Task]:
    """All tasks at their smallest, without data."""
    return {name: TASKS[name]("tiny", None) for name in NAMES}


def _network(task: Task, name: str) -> nn.Module:
    if name in ("sst2", "qnli"):
        pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return task.network()


@dataclass
class Seen:
    """What a network was shown, and how many of its scores are to be made."""

    scores: Tensor
    inputs: list[Tensor]

    def __call__(self, inputs: Tensor) -> Tensor:
        self.inputs.append(inputs)
        return self.scores.expand(*inputs.shape[:1], *self.scores.shape)


def _blind(scores: Tensor) -> tuple[nn.Module, list[Tensor]]:
    """A network that gives the same scores for everything, and the list of what it was shown."""
    network, seen = nn.Module(), Seen(scores, [])
    network.forward = seen
    return network, seen.inputs


# --- what holds for every task --------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_never_has_the_name_of_its_task(name: str, tiny: dict[str, Task]) -> None:
    task = tiny[name]
    assert task.is_standin
    assert task.name.startswith(f"{name}, stand-in")
    assert task.source.startswith("a stand-in for ")
    assert task.setting == "tiny"


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_a_function_of_step_size_and_seed(name: str, tiny: dict[str, Task]) -> None:
    """Whatever was asked before, of this task or another, and whatever the global generator."""
    size, steps = 8, 40  # into the second epoch of those that have epochs
    state = torch.get_rng_state()
    batches = {step: tiny[name].batch(step, size, 7) for step in range(steps)}
    other = TASKS[name]("tiny", None)
    other.batch(3, 5, 1)
    for step in (39, 0, 12):
        for one, again in zip(batches[step], other.batch(step, size, 7), strict=True):
            assert torch.equal(one, again)
    assert not torch.equal(batches[0][0], batches[1][0])
    assert not torch.equal(other.batch(0, size, 8)[0], batches[0][0])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_network_learns_a_batch_by_heart(name: str, tiny: dict[str, Task]) -> None:
    task = tiny[name]
    network, batch = _network(task, name), task.batch(0, 8, 0)
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        losses = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = task.loss(network, batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_is_repeatable_and_tells_the_parts_apart(
    name: str, tiny: dict[str, Task]
) -> None:
    task = tiny[name]
    network = _network(task, name).eval()
    with torch.no_grad():
        first, again = (task.evaluate(network, "validation", CPU) for _ in range(2))
        test = task.evaluate(network, "test", CPU)
    assert first == again
    assert task.metric in first
    assert first["loss"] != test["loss"]


def test_a_setting_that_is_none_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="setting must be one of full, small, tiny; got 'huge'"):
        TASKS["nano"]("huge", tmp_path / "not there")  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotADirectoryError, match="not there"):
        TASKS["nano"]("tiny", tmp_path / "not there")


# --- classes --------------------------------------------------------------------------------------


def _images(count: int, side: int = 32) -> Images:
    """Images that are told apart by their bytes; of the classes 0, 0, 1, 2, 0, 0, 1, 2, …"""
    pixels = torch.arange(count * 3 * side**2).remainder(251).to(torch.uint8)
    split = Split(
        pixels.view(count, 3, side, side), torch.tensor([0, 0, 1, 2]).repeat(count)[:count]
    )
    return Images(split, split, split, 3, "made up")


def test_numbers_of_a_blind_network() -> None:
    """Scores (2, 0, 0) for all: right where the class is 0, loss log(e² + 2) less the score."""
    task = ClassificationTask(
        "t", "tiny", _images(10), Plan(4, 1, 1), lambda _: nn.Module(), at_once=4
    )
    network, seen = _blind(torch.tensor([2.0, 0.0, 0.0], dtype=torch.float64))
    numbers = task.evaluate(network, "validation", CPU)
    right = 6 / 10  # of 0, 0, 1, 2, 0, 0, 1, 2, 0, 0
    assert numbers["accuracy"] == pytest.approx(right)
    assert numbers["loss"] == pytest.approx(math.log(math.exp(2) + 2) - 2 * right)
    assert [len(inputs) for inputs in seen] == [4, 4, 2]


@pytest.mark.parametrize("name", ["cifar", "sst2"])
def test_an_epoch_shows_every_example_once(name: str, tiny: dict[str, Task]) -> None:
    """256 of them, 24 in a batch and 16 in the last; none of them changed but for its padding."""
    task, data = tiny[name], tiny[name]._data  # pyright: ignore[reportAttributeAccessIssue]
    batches = [task.batch(step, 24, 0) for step in range(11)]
    assert [len(targets) for _, targets in batches] == [24] * 10 + [16]
    width = data.train.inputs.shape[-1]
    shown = torch.cat([pad(inputs, (0, width - inputs.shape[-1])) for inputs, _ in batches])
    rows = torch.cat([shown.flatten(1).long(), torch.cat([t for _, t in batches])[:, None]], 1)
    wanted = torch.cat([data.train.inputs.flatten(1).long(), data.train.targets[:, None]], 1)
    assert sorted(rows.tolist()) == sorted(wanted.tolist())


def test_only_the_first_examples_of_a_part_are_taken() -> None:
    data = at_most(_images(12), train=8, validation=20, test=1)
    assert [len(split.targets) for split in (data.train, data.validation, data.test)] == [8, 12, 1]
    assert torch.equal(data.train.inputs, _images(12).train.inputs[:8])
    assert data.source == "made up; of them 8 train, 12 validation, 1 test"


# --- images ---------------------------------------------------------------------------------------


def test_an_image_is_cut_out_of_its_black_frame_and_mirrored_or_not() -> None:
    """By slicing: all 9 · 9 · 2 outcomes are possible, and equally likely (χ², 5 σ)."""
    torch.manual_seed(0)
    image = torch.randint(1, 256, (2, 5, 6), dtype=torch.uint8)
    count = 162 * 25
    frame = pad(image, (4, 4, 4, 4))
    outcomes = {
        cut.numpy().tobytes(): number
        for number, (row, column, mirrored) in enumerate(
            (row, column, mirrored)
            for row in range(9)
            for column in range(9)
            for mirrored in (0, 1)
        )
        for part in [frame[:, row : row + 5, column : column + 6]]
        for cut in [(part.flip(-1) if mirrored else part).contiguous()]
    }
    assert len(outcomes) == 162
    generator = torch.Generator().manual_seed(0)
    made = crop_and_flip(image.expand(count, -1, -1, -1), generator)
    assert made.dtype == torch.uint8
    found = torch.tensor([outcomes[one.contiguous().numpy().tobytes()] for one in made])
    spread = ((torch.bincount(found, minlength=162) - 25.0) ** 2 / 25).sum().item()
    assert spread == pytest.approx(161, abs=5 * math.sqrt(2 * 161))


def test_each_image_is_cut_for_itself() -> None:
    images = _images(50).train.inputs
    made = crop_and_flip(images, torch.Generator().manual_seed(0))
    alone = crop_and_flip(images[:1].expand_as(images), torch.Generator().manual_seed(0))
    assert torch.equal(made[0], alone[0])
    assert len({one.contiguous().numpy().tobytes() for one in alone}) > 20


@pytest.mark.parametrize("name", ["vit", "cnn"])
def test_training_is_augmented_and_validation_is_not(name: str, tiny: dict[str, Task]) -> None:
    data = tiny[name]._data  # pyright: ignore[reportAttributeAccessIssue]
    network, seen = _blind(torch.zeros(10))
    tiny[name].evaluate(network, "validation", CPU)
    assert torch.equal(torch.cat(seen), data.validation.inputs)
    known = {one.numpy().tobytes() for one in data.train.inputs}
    batch, _ = tiny[name].batch(0, 64, 0)
    assert sum(one.contiguous().numpy().tobytes() in known for one in batch) < 8  # 1 in 162


def test_pixels_are_standardised_by_the_training_images(tiny: dict[str, Task]) -> None:
    """Mean 0 and deviation 1 over them, not over the others; buffers, which go where weights go."""
    network = tiny["cifar"].network()
    data = tiny["cifar"]._data  # pyright: ignore[reportAttributeAccessIssue]
    pixels = network.get_submodule("pixels")
    made = pixels(data.train.inputs)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(made.std((0, 2, 3)), torch.ones(3), rtol=1e-4, atol=0)
    assert set(dict(pixels.named_buffers())) == {"mean", "deviation"}
    assert not list(pixels.parameters())


# --- sentences ------------------------------------------------------------------------------------


def test_batches_of_sentences_end_with_the_longest() -> None:
    """In training and in evaluation: of lengths 1 … 10 in turn, four in a batch."""
    lengths = torch.arange(200) % 10 + 1
    rows = torch.where(torch.arange(12) < lengths[:, None], 5, 0)
    split = Split(rows, torch.zeros(200, dtype=torch.int64))
    data = Sentences(split, split, split, 2, vocabulary=9, padding=0, source="made up")
    task = SentenceTask("t", "tiny", data, Plan(4, 1, 1), lambda _: nn.Module())
    for step in range(50):
        inputs, _ = task.batch(step, 4, 0)
        assert inputs.shape[1] == (inputs != 0).sum(1).max()
    assert sum(task.batch(step, 4, 0)[0].sum() for step in range(50)) == rows.sum()
    network, seen = _blind(torch.zeros(2))
    task.evaluate(network, "validation", CPU)
    assert [tuple(inputs.shape) for inputs in seen] == [(100, 10), (100, 10)]


def test_qnli_starts_from_pretrained_weights_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has another name where they are not."""
    pytest.importorskip("transformers")
    rows = Split(torch.arange(60).remainder(7).view(10, 6) + 1, torch.arange(10) % 2)
    data = Sentences(rows, rows, rows, 2, vocabulary=40, padding=0, source="made up")
    monkeypatch.setattr(sentences, "glue", lambda *_, **__: data)
    random = TASKS["qnli"]("full", tmp_path)
    assert (random.name, random.is_standin) == ("qnli, from random weights", True)
    kept = DistilBERT(2, vocabulary=40, layers=1, heads=2, width=8)
    kept.model.save_pretrained(tmp_path / "distilbert-base-uncased")
    task = TASKS["qnli"]("full", tmp_path)
    assert (task.name, task.is_standin) == ("qnli", False)
    assert task.source == "made up; weights: distilbert-base-uncased"
    assert task.plan == Plan(batch_size=16, steps=2, evaluate_every=1)
    read = task.network().state_dict()
    assert all(torch.equal(value, read[name]) for name, value in kept.state_dict().items())


# --- language -------------------------------------------------------------------------------------


def _text(length: int = 40, test: bool = True) -> Text:
    """Training tokens 0, 1, …; the others from 100 and from 200 on."""
    parts = [torch.arange(start, start + length).to(torch.uint16) for start in (0, 100, 200)]
    return Text(parts[0], parts[1], parts[2] if test else None, 300, "counting")


def _language(text: Text, block: int = 8) -> LanguageTask:
    plan = Plan(4, 1, 1)
    return LanguageTask("t", "full", text, plan, lambda _: nn.Module(), block=block, windows=600)


def test_windows_are_stretches_of_text_and_targets_come_next() -> None:
    """In a text that counts: each target is its input and one, each row goes up by one. Of 32
    starts all are drawn (2000 draws miss one with probability 32 exp(−62)).
    """
    inputs, targets = _language(_text()).batch(0, 2000, 0)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs, inputs[:, :1] + torch.arange(8))
    assert inputs[:, 0].unique().tolist() == list(range(32))
    assert targets.max() == 39


@pytest.mark.parametrize(("part", "first"), [("validation", 100), ("test", 200)])
def test_loss_of_a_blind_network_is_log_of_the_vocabulary(part: str, first: int) -> None:
    """log 300; of 600 windows of that part, 16 at a time; none of 32 starts is missed."""
    network, seen = _blind(torch.zeros(8, 300, dtype=torch.float64))
    numbers = _language(_text()).evaluate(network, part, CPU)  # pyright: ignore[reportArgumentType]
    assert numbers["loss"] == pytest.approx(math.log(300), rel=1e-12)
    assert [len(inputs) for inputs in seen] == [16] * 37 + [8]
    starts = torch.cat(seen)[:, 0].unique().tolist()
    assert starts == list(range(first, first + 32))
    assert max(inputs.max() for inputs in seen) == first + 38  # the last token is a target only


def test_a_published_split_without_test_data_says_so() -> None:
    task = _language(_text(test=False))
    assert not task.has_test
    assert _language(_text()).has_test
    with pytest.raises(ValueError, match="t: the published split has no test data"):
        task.evaluate(nn.Module(), "test", CPU)


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="counting: train has 8 tokens, a window needs 9"):
        _language(_text(8))
    assert _language(_text(9)).batch(0, 2, 0)[0].tolist() == [list(range(8))] * 2


# --- the published settings -----------------------------------------------------------------------


def _parameters(task: Task) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in task.network().parameters())


@pytest.mark.parametrize(
    ("name", "size", "epochs", "parameters"),
    [("cifar", 64, 40, 11_173_962), ("vit", 128, 50, 4_028_170), ("cnn", 64, 40, 1_147_978)],
)
def test_full_settings_of_vision(name: str, size: int, epochs: int, parameters: int) -> None:
    """On the digits, of which there are fewer, but ten classes as well."""
    task = TASKS[name]("full", None)
    each = math.ceil(len(task._data.train.targets) / size)  # pyright: ignore[reportAttributeAccessIssue]
    assert task.plan == Plan(size, steps=epochs * each, evaluate_every=each, clip=None)
    assert (task.metric, task.larger_is_better) == ("accuracy", True)
    assert _parameters(task) == parameters


def test_full_settings_of_language() -> None:
    """Per block 12w² + 13w; the manual has V characters in place of the published vocabulary."""
    shapes = {"nano": (4, 128, 64), "owt": (6, 512, 1024), "gpt2": (12, 768, 1024)}
    for name, (layers, w, block) in shapes.items():
        task = TASKS[name]("full", None)
        characters = task._text.vocabulary  # pyright: ignore[reportAttributeAccessIssue]
        derived = (characters + block) * w + layers * (12 * w**2 + 13 * w) + 2 * w
        assert _parameters(task) == derived
        assert (task.plan.clip, task.metric, task.larger_is_better) == (1.0, "loss", False)
        assert not task.has_test
        assert task.batch(0, 2, 0)[0].shape == (2, block)
    assert TASKS["nano"]("full", None).plan == Plan(16, 5001, evaluate_every=100, clip=1.0)


def test_full_settings_of_sentences() -> None:
    """DistilBERT with the vocabulary of the stand-in."""
    pytest.importorskip("transformers")
    task, w = TASKS["sst2"]("full", None), 768
    words = task._data.vocabulary  # pyright: ignore[reportAttributeAccessIssue]
    derived = (words + 512 + 2) * w + 6 * (12 * w**2 + 13 * w) + w * (w + 1) + 2 * (w + 1)
    assert _parameters(task) == derived
    each = math.ceil(len(task._data.train.targets) / 16)  # pyright: ignore[reportAttributeAccessIssue]
    assert (task.plan.batch_size, task.plan.steps) == (16, 2 * each)


# --- real data ------------------------------------------------------------------------------------


@pytest.mark.skipif(DATA is None, reason="DASHPOT_DATA names no folder with data")
@pytest.mark.parametrize(
    ("name", "folder", "shape"),
    [
        ("cifar", "cifar10", (4, 3, 32, 32)),
        ("nano", "text", (4, 8)),
        ("qnli", "glue/QNLI", (4, 16)),
    ],
)
def test_real_data_give_a_task_its_name(name: str, folder: str, shape: tuple[int, ...]) -> None:
    assert DATA is not None
    if not (Path(DATA) / folder).is_dir():
        pytest.skip(f"no {folder} in DASHPOT_DATA")
    if name == "qnli":
        pytest.importorskip("tokenizers")
    task = TASKS[name]("tiny", Path(DATA))
    assert not task.is_standin
    assert task.name.split(",")[0] == name
    assert "stand-in" not in task.name + task.source
    assert task.batch(0, 4, 0)[0].shape == shape
