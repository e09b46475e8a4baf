"""The networks of the training tasks: sizes, symmetries, and other implementations."""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from dashpot.landscapes.networks import CNN, GPT, LSTM, DistilBERT, ResNet18, ViT


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield


def _gpt() -> GPT:
    return GPT(11, block=8, layers=2, heads=2, width=8)


def _lstm() -> LSTM:
    return LSTM(11, width=8, layers=2)


def _vit(dropout: float = 0.0) -> ViT:
    return ViT(10, side=8, patch=4, width=12, layers=2, heads=3, dropout=dropout)


def _distilbert() -> DistilBERT:
    pytest.importorskip("transformers")
    return DistilBERT(3, vocabulary=40, layers=2, heads=2, width=8, longest=16)


def _tokens() -> Tensor:
    return torch.randint(1, 11, (3, 8))


def _images(side: int = 32) -> Callable[[], Tensor]:
    return lambda: torch.randn(3, 3, side, side)


EVERY = [
    pytest.param(_gpt, _tokens, id="GPT"),
    pytest.param(_lstm, _tokens, id="LSTM"),
    pytest.param(_vit, _images(8), id="ViT"),
    pytest.param(lambda: ResNet18(10, width=2), _images(), id="ResNet18"),
    pytest.param(lambda: CNN(10, width=2), _images(8), id="CNN"),
    pytest.param(_distilbert, _tokens, id="DistilBERT"),
]


def _count(build: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


def _randomise(network: nn.Module) -> None:
    """Weights so large that every part matters, and biases that are not zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocabulary", "block", "layers", "heads", "width", "published"),
    [(50257, 1024, 12, 12, 768, 124_439_808), (65, 64, 4, 4, 128, None), (7, 5, 1, 2, 6, None)],
)
def test_parameters_of_gpt(
    vocabulary: int, block: int, layers: int, heads: int, width: int, published: int | None
) -> None:
    """Per block 4w² + 8w² of matrices, 9w of biases, 4w of norms; the output has none."""
    size = _count(lambda: GPT(vocabulary, block=block, layers=layers, heads=heads, width=width))
    derived = (vocabulary + block) * width + layers * (12 * width**2 + 13 * width) + 2 * width
    assert size == derived
    assert published in (None, size)


def test_parameters_of_vit() -> None:
    """64 squares of 48 numbers and one more token, nine blocks, ten classes."""
    w = 192
    blocks = 9 * (12 * w**2 + 13 * w)
    derived = (48 + 1) * w + w + 65 * w + blocks + 2 * w + 10 * (w + 1)
    assert _count(lambda: ViT(10)) == derived == 4_028_170


@pytest.mark.parametrize(("width", "published"), [(64, 11_173_962), (3, None)])
def test_parameters_of_resnet18(width: int, published: int | None) -> None:
    """Convolutions k²·in·out, norms 2·out; the first stage keeps its width, the others double."""
    size = (27 + 2) * width + 4 * (9 * width**2 + 2 * width)
    for out in (2 * width, 4 * width, 8 * width):
        size += 9 * out * (out // 2) + 3 * 9 * out**2 + 4 * 2 * out  # the four of the branches
        size += out * (out // 2) + 2 * out  # the shortcut
    size += 10 * (8 * width + 1)
    assert _count(lambda: ResNet18(10, width=width)) == size
    assert published in (None, size)


def test_parameters_of_cnn_and_lstm() -> None:
    w = 64
    pairs = [(3, w), (w, w), (w, 2 * w), (2 * w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w)]
    convolutions = sum(9 * a * b + b for a, b in pairs)
    assert _count(lambda: CNN(10)) == convolutions + 10 * (4 * w + 1) == 1_147_978
    w = 256  # four gates, of input and state, each with a bias of its own
    derived = 65 * w + 2 * 4 * (2 * w * w + 2 * w) + 65 * (w + 1)
    assert _count(lambda: LSTM(65, width=w, layers=2)) == derived == 1_086_017


def test_parameters_of_distilbert() -> None:
    """Embeddings and their norm, six blocks, one dense layer and the scores."""
    pytest.importorskip("transformers")
    w = 768
    derived = (30522 + 512 + 2) * w + 6 * (12 * w**2 + 13 * w) + w * (w + 1) + 2 * (w + 1)
    assert _count(lambda: DistilBERT(2)) == derived == 66_955_010


# --- what holds for every network -----------------------------------------------------------------


@pytest.mark.parametrize(("build", "inputs"), EVERY)
def test_weights_come_from_the_global_generator(
    build: Callable[[], nn.Module], inputs: Callable[[], Tensor]
) -> None:
    states = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        states.append(build().state_dict())
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if first[name].is_floating_point() and first[name].std() > 0]
    assert drawn
    assert not any(torch.equal(first[name], other[name]) for name in drawn if "norm" not in name)


@pytest.mark.parametrize(("build", "inputs"), EVERY)
def test_every_parameter_has_a_gradient(
    build: Callable[[], nn.Module], inputs: Callable[[], Tensor]
) -> None:
    network = build()
    network(inputs()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("build", "inputs"), EVERY)
def test_a_call_makes_nothing_on_another_device(
    build: Callable[[], nn.Module], inputs: Callable[[], Tensor]
) -> None:
    """A CPU tensor made on the way could not meet those of the meta device."""
    network = build().to("meta")
    assert network(inputs().to("meta")).device.type == "meta"


@pytest.mark.parametrize(("build", "inputs"), EVERY)
def test_examples_do_not_see_each_other_in_evaluation(
    build: Callable[[], nn.Module], inputs: Callable[[], Tensor]
) -> None:
    network, batch = build().eval(), inputs()
    alone = torch.cat([network(one) for one in batch.split(1)])
    torch.testing.assert_close(network(batch), alone, rtol=1e-5, atol=1e-5)


# --- language -------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [_gpt, _lstm])
def test_a_token_changes_the_scores_from_its_place_on(build: Callable[[], nn.Module]) -> None:
    network = build().double()
    _randomise(network)
    tokens = torch.randint(11, (1, 8))
    before = network(tokens)
    for place in range(8):
        changed = tokens.clone()
        changed[0, place] = (changed[0, place] + 1) % 11
        moved = (network(changed) - before).abs().amax((0, 2))
        assert (moved[:place] == 0).all()
        assert (moved[place:] > 1e-6).all()


def test_gpt_is_that_of_transformers() -> None:
    """The weights of this GPT in another implementation give the same scores."""
    transformers = pytest.importorskip("transformers")
    network = _gpt().double()
    _randomise(network)
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_layer=2, n_head=2, n_embd=8, bos_token_id=0, eos_token_id=0
    )
    other = transformers.GPT2LMHeadModel(config).double().eval()
    names = {"tokens": "wte", "positions": "wpe", "norm": "ln_f", "attention_norm": "ln_1"}
    names |= {"mlp_norm": "ln_2", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj"}
    names |= {"mlp.0": "mlp.c_fc", "mlp.2": "mlp.c_proj"}
    for name, parameter in network.state_dict().items():
        head, kind = name.rsplit(".", 1)
        if head.startswith("blocks."):
            _, layer, rest = head.split(".", 2)
            there = f"transformer.h.{layer}.{names[rest]}.{kind}"
        else:
            there, rest = f"transformer.{names[head]}.{kind}", head
        dense = rest.startswith(("attention.", "mlp.")) and kind == "weight"
        with torch.no_grad():  # it keeps dense matrices transposed
            other.get_parameter(there).copy_(parameter.T if dense else parameter)
    tokens = torch.randint(11, (3, 6))
    torch.testing.assert_close(network(tokens), other(tokens).logits, rtol=1e-10, atol=1e-10)


def test_gradient_of_gpt_is_the_slope_of_its_loss() -> None:
    """Along a random direction, by the central difference, whose error is O(ε²)."""
    network = _gpt().double()
    _randomise(network)
    tokens = torch.randint(11, (2, 8))
    parameters = list(network.parameters())
    direction = [torch.randn_like(p) for p in parameters]

    def loss() -> Tensor:
        return nn.functional.cross_entropy(network(tokens).flatten(0, 1), tokens.flatten())

    gradients = torch.autograd.grad(loss(), parameters)
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    values = []
    with torch.no_grad():
        for shift in (1e-5, -2e-5):
            for parameter, along in zip(parameters, direction, strict=True):
                parameter.add_(along, alpha=shift)
            values.append(loss())
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(slope), rel=1e-6)


def test_weights_that_end_a_branch_of_gpt_start_smaller() -> None:
    """σ = 0.02/√(2·8) = 0.005; n draws give it to 1/√(2n), here 1.6%."""
    network = GPT(11, block=8, layers=8, heads=2, width=16)
    ends = [weight for name, weight in network.named_parameters() if name.endswith("2.weight")]
    assert len(ends) == 8
    spread = torch.cat([w.flatten() for w in ends]).std().item()
    assert spread == pytest.approx(0.005, rel=0.05)
    assert network.tokens.weight.std().item() == pytest.approx(0.02, rel=0.25)


def test_dropout_of_gpt_acts_in_training_only() -> None:
    network = GPT(11, block=8, layers=2, heads=2, width=8, dropout=0.5)
    plain = _gpt()
    plain.load_state_dict(network.state_dict())
    tokens = torch.randint(11, (2, 8))
    assert torch.equal(network.eval()(tokens), plain(tokens))
    network.train()
    assert not torch.equal(network(tokens), network(tokens))


def test_lstm_follows_the_equations_of_its_cell() -> None:
    """i, f, o = σ(W x + U h + b), g = tanh(…); c' = f c + i g, h' = o tanh c'."""
    network = LSTM(5, width=3, layers=2).double()
    _randomise(network)
    tokens = torch.randint(5, (2, 6))
    weights = dict(network.recurrent.named_parameters())
    sequence = network.tokens.weight[tokens]
    for layer in range(2):
        own = {
            name.removesuffix(f"_l{layer}"): w
            for name, w in weights.items()
            if name[-1] == str(layer)
        }
        h = c = torch.zeros(2, 3, dtype=torch.float64)
        states = []
        for x in sequence.unbind(1):
            z = x @ own["weight_ih"].T + own["bias_ih"] + h @ own["weight_hh"].T + own["bias_hh"]
            i, f, g, o = z.chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        sequence = torch.stack(states, 1)
    expected = sequence @ network.scores.weight.T + network.scores.bias
    torch.testing.assert_close(network(tokens), expected)


# --- images ---------------------------------------------------------------------------------------


def test_vit_cares_for_the_place_of_a_square_only_by_its_vector() -> None:
    """Squares that change places together with the vectors of their places change no score."""
    network = _vit().double()
    _randomise(network)
    image = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    turned = torch.cat([image[..., 4:, :], image[..., :4, :]], -2)  # squares 2, 3, 0, 1
    scores = network(image)
    assert (network(turned) - scores).abs().max() > 1e-3
    with torch.no_grad():
        vectors = network.positions.weight
        vectors.copy_(vectors[[0, 3, 4, 1, 2]])
    torch.testing.assert_close(network(turned), scores)


def test_the_squares_of_vit_are_a_convolution_without_overlap() -> None:
    network = ViT(10, side=12, patch=4, width=6, layers=1, heads=2)
    images = torch.randn(2, 3, 12, 12)
    kernels = network.patches.weight.unflatten(1, (3, 4, 4))
    expected = conv2d(images, kernels, network.patches.bias, stride=4).flatten(2).mT
    torch.testing.assert_close(network.patches(network._squares(images)), expected)


def test_stages_of_resnet18_halve_the_image() -> None:
    network, shapes = ResNet18(10, width=2), []
    for block in network.stages:
        block.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    network(torch.randn(2, 3, 32, 32))
    stages = [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]
    assert shapes == [stage for stage in stages for _ in range(2)]


def test_a_block_of_resnet18_adds_its_branch_to_its_input() -> None:
    """With the last norm of the branch at zero the block is ReLU of its input, or shortcut."""
    network = ResNet18(10, width=4).eval()
    first, third = network.stages[0], network.stages[2]
    for block in (first, third):
        nn.init.zeros_(block.get_parameter("branch.4.weight"))
    hidden = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(first(hidden), hidden.relu())
    kernels = third.get_parameter("shortcut.0.weight")
    expected = conv2d(hidden[..., ::2, ::2], kernels).relu() / math.sqrt(1 + 1e-5)
    torch.testing.assert_close(third(hidden), expected)


def test_a_mirrored_cnn_reads_mirrored_images() -> None:
    """Convolution, pooling of even sides and the mean commute with the reflection."""
    network = CNN(10, width=3)
    images = torch.randn(2, 3, 16, 16)
    scores = network(images)
    mirrored = images.flip(-1)
    assert (network(mirrored) - scores).abs().max() > 1e-4
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.flip(-1))
    torch.testing.assert_close(network(mirrored), scores, rtol=1e-4, atol=1e-5)


def test_weights_of_cnn_keep_the_scale_of_the_signal() -> None:
    """Variance 2/(inputs); 9·16·16 draws give it to √(2/n), here 3%."""
    layer = CNN(10, width=16).stages[2]
    assert isinstance(layer, nn.Conv2d)
    assert layer.weight.var().item() == pytest.approx(2 / (9 * 16), rel=0.12)
    assert layer.bias is not None
    assert not layer.bias.any()


# --- sentences ------------------------------------------------------------------------------------


def test_padding_of_distilbert_is_seen_by_no_other_place() -> None:
    network = _distilbert().eval()
    _randomise(network)
    sentence = torch.randint(1, 40, (2, 5))
    padded = torch.cat([sentence, torch.zeros(2, 4, dtype=torch.int64)], 1)
    torch.testing.assert_close(network(padded), network(sentence), rtol=1e-5, atol=1e-6)
    longer = torch.cat([sentence, torch.full((2, 4), 7)], 1)
    assert (network(longer) - network(sentence)).abs().max() > 1e-3


def test_distilbert_reads_published_files(tmp_path: Path) -> None:
    """The encoder as it was; a classifier of another size is drawn."""
    written = _distilbert()
    written.model.save_pretrained(tmp_path)
    same = DistilBERT(3, vocabulary=40, pretrained=tmp_path)
    assert same.model.config.n_layers == 2
    here, there = same.state_dict(), written.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in there)
    with pytest.raises(ValueError, match=r"40 tokens, padding 0; the sentences have 41 and 0"):
        DistilBERT(3, vocabulary=41, pretrained=tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        DistilBERT(3, vocabulary=40, pretrained=tmp_path)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'dashpot\[networks\]'"):
        DistilBERT(2)


# --- what is refused ------------------------------------------------------------------------------


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads; got 9 and 2"):
        GPT(11, block=8, layers=1, heads=2, width=9)
    with pytest.raises(ValueError, match="side must be a multiple of patch; got 30 and 4"):
        ViT(10, side=30)
    with pytest.raises(ValueError, match="at most 8 tokens; got 9"):
        _gpt()(torch.zeros(1, 9, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"3 × 8 × 8; got \(3, 32, 32\)"):
        _vit()(torch.zeros(1, 3, 32, 32))
