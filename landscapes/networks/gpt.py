"""The decoder of GPT-2, in any size."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .transformer import Block, initialise


class GPT(nn.Module):
    """A causal transformer: token indices [batch, length] to scores [batch, length, vocabulary].

    Blocks normalise first; the output layer is the token embedding transposed. Weights are drawn
    from torch's global generator: normal, σ = 0.02, those that end a residual branch divided by
    √(2 layers); biases 0.

    vocabulary  number of tokens
    block       longest sequence, in tokens; ValueError in a call with a longer one
    layers, heads, width   of the blocks; width is a multiple of heads, else ValueError
    dropout     probability, after embeddings, attention and residual branches

    GPT(65, block=64, layers=4, heads=4, width=128) is the character-level GPT-2-nano,
    GPT(50257, block=1024, layers=12, heads=12, width=768) GPT-2 with 124,439,808 parameters.

    Source: A. Radford et al., Language Models are Unsupervised Multitask Learners (2019).
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        block: int,
        layers: int,
        heads: int,
        width: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.block = block
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(block, width)
        self.drop = nn.Dropout(dropout)
        rates = {"dropout": dropout, "attention_dropout": dropout}
        blocks = (Block(width, heads, causal=True, **rates) for _ in range(layers))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)
        for name, weight in self.named_parameters():
            if name.endswith(("attention.out.weight", "mlp.2.weight")):
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers))

    def forward(self, indices: Tensor) -> Tensor:
        length = indices.shape[-1]
        if length > self.block:
            raise ValueError(f"sequences of at most {self.block} tokens; got {length}")
        places = torch.arange(length, device=indices.device)
        hidden = self.drop(self.tokens(indices) + self.positions(places))
        return functional.linear(self.norm(self.blocks(hidden)), self.tokens.weight)
