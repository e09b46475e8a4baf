"""How noisy the gradients of minibatches are: their covariance at a point, and along training."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...integrators import Trajectory
from ...integrators.convert import gradient_noise_temperature
from ...landscapes import Network
from ...landscapes.checks import integer

_KEPT = 5  # directions


@dataclass(frozen=True, eq=False, repr=False)
class GradientNoise:
    """The noise of a minibatch's gradient at one point, float64; covariance Σ/B.

    batch_size       B, drawn with replacement
    examples         of the data, that were looked at
    gradient         [dimension], their mean gradient; ∇f if all were looked at
    gradient_square  |∇f|², without the bias that the noise of `gradient` adds to its square
    variance         [dimension], of every coordinate: the diagonal of Σ/B
    trace            of Σ/B: the mean squared distance of a minibatch's gradient from ∇f
    trace_error      its standard error (to leading order); 0 if all examples were looked at
    eigenvalues      [k], the largest of Σ/B, in falling order. From fewer examples than there
                     are they come out too large: k directions of m samples fit their noise too
    directions       [k, dimension], their orthonormal eigenvectors
    """

    batch_size: int
    examples: int
    gradient: Tensor
    gradient_square: float
    variance: Tensor
    trace: float
    trace_error: float
    eigenvalues: Tensor
    directions: Tensor

    def __repr__(self) -> str:
        largest = ", ".join(f"{value:.3g}" for value in self.eigenvalues.tolist())
        return (
            f"GradientNoise({len(self.variance)} coordinates, batches of {self.batch_size}: "
            f"|∇f|² = {self.gradient_square:.3g}, trace {self.trace:.3g}"
            + (f" ± {self.trace_error:.1g}" if self.trace_error else "")
            + (f", largest eigenvalues {largest})" if largest else ")")
        )

    @property
    def std(self) -> Tensor:
        """[dimension], standard deviation of every coordinate."""
        return self.variance.sqrt()

    @property
    def signal_to_noise(self) -> float:
        """|∇f|² over the trace; 1 where the noise of a minibatch is as long as the gradient."""
        return self.gradient_square / self.trace if self.trace else float("inf")


def gradient_noise(
    network: Network,
    x: ArrayLike | Tensor,
    batch_size: int,
    *,
    examples: int | None = None,
    directions: int = _KEPT,
    seed: int = 0,
) -> GradientNoise:
    """Measure the noise of minibatch gradients at one point x [dimension].

        Σ = 1/n Σ_i (∇ℓ_i − ∇f)(∇ℓ_i − ∇f)ᵀ,   covariance of a minibatch of B:  Σ/B

    examples    how many of the n examples to look at, drawn without replacement by `seed`, at
                least 2; None: all, and then every number is exact. Otherwise those besides the
                eigenvalues are unbiased. Needs memory for examples · dimension numbers
    directions  how many of the largest eigenvalues, with their directions

    Raises ValueError for a loss that is not the mean of the losses of its examples, and for
    arguments that do not fit; TypeError for a landscape that is not a Network.
    """
    if not isinstance(network, Network):
        raise TypeError(f"gradient_noise takes a Network first; got {network!r}")
    network.require_mean()
    n = network.examples
    batch_size = integer(batch_size, "batch_size", 1)
    directions = integer(directions, "directions", 0)
    count = n if examples is None else integer(examples, "examples", min(2, n))
    if count > n:
        raise ValueError(f"examples must be at most {n}, those there are; got {count}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    chosen = torch.arange(n) if count == n else order[:count]
    at = x.detach() if isinstance(x, Tensor) else torch.as_tensor(x, dtype=network.start.dtype)
    slopes = network.per_example_gradients(at, chosen.to(at.device)).double()
    mean = slopes.mean(0)
    centred = slopes - mean
    squares = centred.square().sum(1)
    unseen = 1 - count / n
    # Sums of squares over m of n examples are, in the mean, those over n times (m − 1)/(n − 1).
    weight = (n - 1) / (count - 1) / (n * batch_size) if unseen else 1 / (n * batch_size)
    trace = float(weight * squares.sum())
    spread = float(squares.std(correction=0)) / max(1, count - 1) ** 0.5
    noise_of_mean = trace * batch_size * unseen * n / (n - 1) / count if unseen else 0.0
    values, vectors = _principal(centred, min(directions, count, network.dimension))
    return GradientNoise(
        batch_size=batch_size,
        examples=count,
        gradient=mean,
        gradient_square=float(mean.square().sum()) - noise_of_mean,
        variance=weight * centred.square().sum(0),
        trace=trace,
        trace_error=spread / batch_size * unseen**0.5,
        eigenvalues=weight * values,
        directions=vectors,
    )


def _principal(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of rowsᵀ rows, falling, and their eigenvectors [count, columns].

    From the Gram matrix rows rowsᵀ where it is the smaller of the two.
    """
    if not count:
        return rows.new_empty(0), rows[:0]
    if len(rows) > rows.shape[1]:
        values, vectors = torch.linalg.eigh(rows.T @ rows)
        return values.flip(0)[:count].clamp(min=0.0), vectors.T.flip(0)[:count]
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    values, chosen = values.flip(0)[:count].clamp(min=0.0), vectors.T.flip(0)[:count]
    # orthonormal also where an eigenvalue is 0 and its direction is arbitrary
    return values, torch.linalg.qr((chosen @ rows).T)[0].T


def noise_along(
    run: Trajectory,
    network: Network,
    batch_size: int,
    *,
    trajectory: int | None = None,
    examples: int | None = None,
    directions: int = _KEPT,
    seed: int = 0,
) -> list[GradientNoise]:
    """`gradient_noise` at every saved state of a run of one trajectory; thin it first if long.

    trajectory  which one of a batch; None: the run must have one only

    Raises ValueError for a batch without `trajectory`, IndexError for one that the run does not
    have, and what `gradient_noise` raises.
    """
    x = run["x"]
    if trajectory is not None:
        trajectory = integer(trajectory, "trajectory", 0)
        each = x.reshape(len(x), -1, x.shape[-1])
        if trajectory >= each.shape[1]:
            raise IndexError(
                f"trajectory must be one of the run's, 0 to {each.shape[1] - 1}; got {trajectory}"
            )
        x = each[:, trajectory]
    if x.ndim != 2:
        raise ValueError(
            f"the run has a batch of trajectories {tuple(x.shape[1:-1])}; choose one by "
            "trajectory=0"
        )
    settings = {"examples": examples, "directions": directions, "seed": seed}
    return [gradient_noise(network, point, batch_size, **settings) for point in x]


class Temperature(NamedTuple):
    """Temperatures that gradient noise makes: of every coordinate [dimension], and their mean."""

    per_coordinate: Tensor
    mean: float

    def __repr__(self) -> str:
        each = self.per_coordinate
        return (
            f"Temperature(mean {self.mean:.3g}; per coordinate {each.min():.3g} to "
            f"{each.max():.3g}, {each.numel()} of them)"
        )


def matching_temperature(noise: GradientNoise, step: float, gamma: float = 1.0) -> Temperature:
    """The temperature T = h s²/(2γ) of the Langevin dynamics that this noise imitates.

    step   h, the time of one step; for SGD without momentum its lr, with gamma = 1
    gamma  friction γ; torch's SGD with momentum has those of `convert.langevin_of_sgd`

    One temperature would fit all coordinates only if the noise were alike in all.
    """
    each = gradient_noise_temperature(step, noise.std, gamma)
    return Temperature(each, float(each.mean()))
