"""The vision transformer."""

import torch
from torch import Tensor, nn

from .transformer import Block, initialise


class ViT(nn.Module):
    """A vision transformer: images [batch, 3, side, side] to scores [batch, classes].

    The image is cut into squares; each becomes a token by one linear map, plus a learned vector of
    its place. A further, learned token takes part in all blocks, and its last value gives the
    scores. Blocks normalise first. Weights are drawn from torch's global generator: normal,
    σ = 0.02, biases 0; the map of the squares as torch draws dense layers, since 0.02 would hide
    the few pixels of a square behind its place.

    classes   number of classes
    side      of the images, in pixels, a multiple of `patch`, else ValueError
    patch     side of a square, in pixels
    width, layers, heads   of the blocks; width is a multiple of heads, else ValueError
    dropout   probability, after the embedding and at the end of either branch of a block

    ViT(10) has 4,028,170 parameters.

    Source: A. Dosovitskiy et al., An Image is Worth 16×16 Words (ICLR 2021).
    """

    def __init__(
        self,
        classes: int,
        *,
        side: int = 32,
        patch: int = 4,
        width: int = 192,
        layers: int = 9,
        heads: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"side must be a multiple of patch; got {side} and {patch}")
        self.side, self.patch = side, patch
        places = (side // patch) ** 2 + 1
        self.first = nn.Parameter(torch.zeros(width))
        self.positions = nn.Embedding(places, width)
        self.drop = nn.Dropout(dropout)
        blocks = (Block(width, heads, causal=False, dropout=dropout) for _ in range(layers))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.scores = nn.Linear(width, classes)
        self.apply(initialise)
        self.patches = nn.Linear(3 * patch**2, width)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-3:] != (3, self.side, self.side):
            raise ValueError(
                f"images of shape 3 × {self.side} × {self.side}; got {tuple(images.shape[-3:])}"
            )
        squares = self.patches(self._squares(images))
        first = self.first.expand(len(squares), 1, -1)
        hidden = self.drop(torch.cat([first, squares], 1) + self.positions.weight)
        return self.scores(self.norm(self.blocks(hidden)[:, 0]))

    def _squares(self, images: Tensor) -> Tensor:
        """[batch, 3, side, side] to [batch, squares, 3 patch²], row by row."""
        cut = images.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
