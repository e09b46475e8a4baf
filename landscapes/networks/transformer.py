"""The block that the transformers are made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Attention, then two dense layers, each normalised first and added: [..., length, width].

    width, heads       width is a multiple of heads; the dense layers are four times as wide between
    causal             whether a place sees itself and those before it only
    dropout            probability, at the end of either branch
    attention_dropout  probability, of the weights with which places are mixed

    GELU is taken by its approximation with tanh, as in the published programs of GPT-2 and ViT.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads; got {width} and {heads}")
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads, causal, attention_dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * width, width),
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.drop(self.attention(self.attention_norm(hidden)))
        return hidden + self.drop(self.mlp(self.mlp_norm(hidden)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        q, k, v = (
            one.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
            for one in self.qkv(hidden).chunk(3, dim=-1)
        )
        dropped = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropped, is_causal=self.causal
        )
        return self.out(mixed.transpose(-3, -2).flatten(-2))


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Weights of dense layers and embeddings normal with σ = 0.02, biases 0; for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
