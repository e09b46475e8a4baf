"""A recurrent network that reads and writes tokens."""

from torch import Tensor, nn


class LSTM(nn.Module):
    """Long short-term memory: token indices [batch, length] to scores [batch, length, vocabulary].

    Token embeddings pass through `layers` recurrent layers, from state zero, and one dense layer.
    Weights are drawn from torch's global generator as torch draws them: recurrent and dense ones
    uniform in ±1/√width, embeddings normal with σ = 1.

    vocabulary     number of tokens
    width, layers  of the recurrent part; embeddings are as wide

    LSTM(65, width=256, layers=2) has 1,086,017 parameters.

    Source: S. Hochreiter and J. Schmidhuber, Long Short-Term Memory (Neural Computation 1997),
    with the forget gate of F. Gers et al. (2000).
    """

    def __init__(self, vocabulary: int, *, width: int, layers: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.recurrent = nn.LSTM(width, width, layers, batch_first=True)
        self.scores = nn.Linear(width, vocabulary)

    def forward(self, indices: Tensor) -> Tensor:
        hidden, _ = self.recurrent(self.tokens(indices))
        return self.scores(hidden)
