"""DistilBERT with a classifier on top, by the library transformers."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn


class DistilBERT(nn.Module):
    """DistilBERT for sentences: token indices [batch, length] to scores [batch, classes].

    A sentence begins with the token whose last value is classified and ends with padding, which no
    other place sees. Dropout is 0.1 in the encoder, 0.2 before the scores. Weights are drawn from
    torch's global generator, normal with σ = 0.02, biases 0; or they are read.

    classes     number of classes
    vocabulary  number of tokens
    padding     the token that fills up
    layers, heads, width   of the encoder; dense layers are four times as wide between
    longest     longest sentence, in tokens
    pretrained  folder with config.json and model.safetensors, which then decide about all of the
                encoder; a classifier that is not among them is drawn. FileNotFoundError without
                these files, ValueError if their vocabulary is another

    DistilBERT(2) has 66,955,010 parameters. Raises ImportError without transformers.

    Source: V. Sanh et al., DistilBERT, a distilled version of BERT (2019), arXiv:1910.01108.
    """

    def __init__(
        self,
        classes: int,
        *,
        vocabulary: int = 30522,
        padding: int = 0,
        layers: int = 6,
        heads: int = 12,
        width: int = 768,
        longest: int = 512,
        pretrained: Path | None = None,
    ) -> None:
        super().__init__()
        transformers = _transformers()
        self.padding = padding
        if pretrained is not None:
            self.model: Any = _read(transformers, pretrained, classes, vocabulary, padding)
            return
        config = transformers.DistilBertConfig(
            vocab_size=vocabulary,
            pad_token_id=padding,
            n_layers=layers,
            n_heads=heads,
            dim=width,
            hidden_dim=4 * width,
            max_position_embeddings=longest,
            num_labels=classes,
        )
        self.model = transformers.DistilBertForSequenceClassification(config)

    def forward(self, indices: Tensor) -> Tensor:
        # [batch, 1, from, to] is taken as it is; of [batch, to] a GPU would first be asked whether
        # all of it is true
        mask = (indices != self.padding)[:, None, None, :].expand(-1, -1, indices.shape[1], -1)
        return self.model(input_ids=indices, attention_mask=mask).logits


def _transformers() -> Any:
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "DistilBERT needs transformers: pip install 'dashpot[networks]'"
        ) from error
    return transformers


def _read(transformers: Any, folder: Path, classes: int, vocabulary: int, padding: int) -> Any:
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} has no {name}; a pretrained DistilBERT is a folder with config.json and "
                "model.safetensors (files that need unpickling are not read)"
            )
    config = transformers.DistilBertConfig.from_pretrained(folder, local_files_only=True)
    if (config.vocab_size, config.pad_token_id) != (vocabulary, padding):
        raise ValueError(
            f"{folder}: {config.vocab_size} tokens, padding {config.pad_token_id}; the sentences "
            f"have {vocabulary} and {padding}"
        )
    config.num_labels = classes
    return transformers.DistilBertForSequenceClassification.from_pretrained(
        folder, config=config, local_files_only=True, use_safetensors=True
    )
