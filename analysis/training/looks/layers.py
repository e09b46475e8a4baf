"""The layers of a network, and which of their coordinates are looked at one by one."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....integrators.ensembles.ranks import Ranks
from ....integrators.optimizers.tensors import computable, gradient_of, is_sharded
from ..order import generator

SAMPLE = 256  # coordinates of a tensor that quantiles are taken of: ± 3 % in rank
WATCHED = 4096  # coordinates of the network that are followed from look to look
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SEED = 0  # of both choices: the same coordinates in every look, run and method


class Layers:
    """A layer is a module with parameters of its own, such as weight and bias.

    names    of the layers, in the order of the network
    sizes    coordinates of each layer, [layers]
    sharded  whether every process has a part of each tensor
    """

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        params: dict[str, Tensor] = dict(network.named_parameters())
        self._ranks, self.sharded = ranks, any(is_sharded(param) for param in params.values())
        owners = {name: name.rpartition(".")[0] or name for name in params}
        self.names = list(dict.fromkeys(owners.values()))
        self._layer = {p: self.names.index(owners[name]) for name, p in params.items()}
        self._device = next(iter(params.values())).device
        self._params = [*params.values()]
        self._local = {param: computable(param).numel() for param in self._params}
        local = [*self._local.values()]
        self._sampled = {
            param: _some(size, SAMPLE, place)
            for place, (param, size) in enumerate(self._local.items())
        }
        chosen = _some(sum(local), WATCHED, len(local))
        starts = torch.tensor([0, *local]).cumsum(0)
        self._watched = {
            param: (
                torch.nonzero((chosen >= start) & (chosen < end)).flatten(),
                chosen[(chosen >= start) & (chosen < end)] - start,
            )
            for param, start, end in zip(self._params, starts[:-1], starts[1:], strict=True)
        }
        self._rows: dict[tuple[int, ...], _Row] = {}
        numbers = torch.tensor(local, dtype=torch.float64, device=self._device)
        self.sizes = self.whole(self._by_layer(self._params, numbers))

    def zeros(self) -> Tensor:
        """A number for every layer, [layers]."""
        return torch.zeros(len(self.names), dtype=torch.float64, device=self._device)

    def sums(self, params: Sequence[Tensor], values: Tensor) -> Tensor:
        """Of values of all coordinates of some parameters, in one row, by layer: [layers]."""
        parts = values.double().split(self._row(params).sizes)
        return self._by_layer(params, torch.stack([part.sum() for part in parts]))

    def counts(self, params: Sequence[Tensor], hits: Tensor) -> Tensor:
        """How many of all coordinates of some parameters, in one row, by layer: [layers]."""
        until = torch.zeros(len(hits) + 1, dtype=torch.int64, device=hits.device)
        torch.cumsum(hits, 0, out=until[1:])
        return self._by_layer(params, until[self._row(params).edges].diff().double())

    def _by_layer(self, params: Sequence[Tensor], numbers: Tensor) -> Tensor:
        """A number of each parameter, summed by layer."""
        return self.zeros().index_add(0, self._row(params).layers, numbers.to(self._device))

    def whole(self, sums: Tensor) -> Tensor:
        """Sums over all coordinates, of sums over those that are here."""
        return self._ranks.added(sums).to(self._device) if self.sharded else sums

    def gradient(self) -> Tensor:
        """Root mean square of a coordinate's gradient, [layers]."""
        params = [param for param in self._params if param.grad is not None]
        grads = [gradient_of(param) for param in params]
        norms = [torch.linalg.vector_norm(grad, dtype=torch.float64) for grad in grads]
        squares = self._by_layer(params, torch.stack(norms).square())
        return (self.whole(squares) / self.sizes).sqrt()

    def sampled(self, params: Sequence[Tensor], values: Tensor) -> Tensor:
        """Values of the coordinates of some parameters at those that quantiles are taken of."""
        return values[self._row(params).sampled]

    def watched(self, params: Sequence[Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the coordinates that are followed are some parameters', and values there."""
        row = self._row(params)
        return row.numbers, values[row.watched]

    def quantiles(self, params: Sequence[Tensor], samples: Tensor) -> Tensor:
        """Of the samples of a layer, [layers, quantiles]; NaN, where one is undefined, is left out.

        A layer's tensors count as they are sampled, up to SAMPLE coordinates each.
        """
        padded = torch.cat((samples, samples.new_full((1,), torch.nan)))[self._row(params).table]
        return torch.nanquantile(padded, torch.tensor(QUANTILES).to(padded), dim=1).T

    def _row(self, params: Sequence[Tensor]) -> "_Row":
        """Where things are in a row of all coordinates of some parameters."""
        key = tuple(map(id, params))
        if key not in self._rows:
            self._rows[key] = self._new_row(params)
        return self._rows[key]

    def _new_row(self, params: Sequence[Tensor]) -> "_Row":
        sizes = [self._local[param] for param in params]
        edges = [0, *itertools.accumulate(sizes)]
        starts = [*zip(params, edges, strict=False)]
        layers = torch.tensor([self._layer[param] for param in params])
        counts = torch.tensor([len(self._sampled[param]) for param in params])
        owner = layers.repeat_interleave(counts)  # of each sample
        mine = [torch.nonzero(owner == place).flatten() for place in range(len(self.names))]
        table = nn.utils.rnn.pad_sequence(mine, batch_first=True, padding_value=len(owner))

        def here(tensors: Sequence[Tensor]) -> Tensor:
            return torch.cat([*tensors]).to(params[0].device)

        return _Row(
            sizes,
            torch.tensor(edges, device=params[0].device),
            layers.to(self._device),
            here([self._sampled[param] + start for param, start in starts]),
            here([self._watched[param][0] for param in params]),
            here([self._watched[param][1] + start for param, start in starts]),
            table.to(params[0].device),
        )


@dataclass(frozen=True)
class _Row:
    """Some parameters, one after the other.

    sizes, edges  coordinates of each, and where it begins, and the last one ends
    layers        of each
    sampled       coordinates that quantiles are taken of
    numbers, watched  of the coordinates that are followed, and where these are
    table         [layers, most]: of each layer the samples, filled up with one behind the last
    """

    sizes: list[int]
    edges: Tensor
    layers: Tensor
    sampled: Tensor
    numbers: Tensor
    watched: Tensor
    table: Tensor


def _some(size: int, most: int, place: int) -> Tensor:
    """All coordinates, or `most` of them, drawn with replacement, in order."""
    if size <= most:
        return torch.arange(size)
    return torch.randint(size, (most,), generator=generator(_SEED, place)).sort().values
