"""Training with minibatches beside its stochastic differential equation, over many seeds.

    compare_with_sde("CD", lr=0.01).verdicts()

Four models are put beside every training, each with one simplification more:

    Gaussian        the training's own steps, with Gaussian noise of the minibatches' covariance
    SDE             continuous time: the stochastic equation with that covariance, at every x
    noise along     the SDE with independent coordinates, whose variances, measured along the
                    training, are constant in each of a few pieces of time
    noise of start  the same with the variances measured once, at the start

What holds for one model and fails for the next shows which simplification matters.

A caveat on the variance. Over seeds it is itself of the order of the step size, and equations of
first and second order alike (see `stochastic_modified_equation`) leave an error of the square of
the step size in it, that is a relative error of the order of the step size: a model may be
accurate in the mean and not in the variance, and a refinement of its drift need not help.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...dynamics import Dynamics
from ...integrators import Trajectory, convert, simulate
from ...landscapes import GaussianMinibatch, Landscape, Minibatch, Network, classifier, digits
from ...landscapes.checks import integer, positive
from ..interrupts import uninterrupted
from .comparison import Comparison, Curve
from .covariance import gradient_noise
from .trainings import CAP, MOMENTUM, Training, training

LEARNING_RATES = (0.02, 0.2)  # of the study: one at which continuous time holds, one beyond
QUICK = {"steps": 20, "seeds": 32}
MORE = 4  # times as many seeds for the training itself, which costs little
_MEASURED = 3  # trajectories on which the noise along the training is measured


def digits_network(examples: int = 64, hidden: int = 6) -> Network:
    """The digits' classifier made small: 64 – hidden – 10 on the first training examples."""
    inputs, targets = digits().train
    return Network(
        classifier(hidden), cross_entropy, (inputs[:examples], targets[:examples]), name="digits"
    )


def compare_with_sde(
    method: str,
    lr: float,
    *,
    network: Network | None = None,
    batch_size: int = 8,
    steps: int = 40,
    save_every: int = 5,
    pieces: int | None = None,
    seeds: int = 48,
    seed: int = 0,
    cap: float | None = None,
) -> Comparison:
    """Train with minibatches from one start over many seeds at once, and run the models beside.

    method    "SGD", "momentum SGD", "CD" or "IKFAD", see `training`
    lr        that of torch's SGD with momentum 0.8; h = √lr, and SGD without momentum has 5 lr
    network   None: `digits_network()`
    seeds     trajectories of every model, at least 4; the training has four times as many
    pieces    of time, in which the noise along the training is constant; None: 4, or as many as
              there are saved times
    cap       the gradient of one coordinate at which CD's damping takes over, see `training`.
              None: 0.2 for the digits' network; for a network of yours g/(1 − momentum), where g
              is the largest root mean square of a coordinate of a minibatch's gradient at the
              start: the damping holds back moves longer than the momentum makes of g

    Losses are those of all examples. Raises ValueError for arguments that do not fit, and
    KeyboardInterrupt after Ctrl-C: half a comparison shows nothing.
    """
    seeds = integer(seeds, "seeds", 4)  # fewer have no variance with an error
    if save_every < 1 or steps < 1 or steps % save_every:
        raise ValueError(
            f"steps must be a multiple of save_every, both >= 1; got {steps} and {save_every}"
        )
    lr = positive(lr, "lr")
    pieces = min(4, steps // save_every) if pieces is None else pieces
    if not 1 <= pieces <= steps // save_every:
        raise ValueError(
            f"pieces must be between 1 and the saved times, {steps // save_every}; got {pieces}"
        )
    if cap is None:
        cap = CAP if network is None else _fitting_cap(network, batch_size)
    network = network or digits_network()
    one = training(method, lr, cap=cap)
    runs = _Runs(one, network, batch_size, steps, save_every, seeds, 100 * seed)
    trained = runs.train(Minibatch(network, batch_size), 0, MORE * seeds)
    points = {
        "training": trained,
        "Gaussian": runs.train(GaussianMinibatch(network, batch_size), 1, seeds),
        "SDE": runs.equation(2),
        "noise along": runs.with_noise(runs.noise_along(trained, pieces), 4),
        "noise of start": runs.with_noise([(steps, runs.noise_at(network.start[None]))], 3),
    }
    losses = {name: network(x) for name, x in points.items()}
    kept = {name: values[:, torch.isfinite(values).all(0)] for name, values in losses.items()}
    return Comparison(
        method,
        lr,
        one.step,
        batch_size,
        seeds,
        torch.arange(0, steps + 1, save_every),
        {name: Curve.of(values) for name, values in kept.items()},
        {name: losses[name].shape[1] - values.shape[1] for name, values in kept.items()},
    )


def _fitting_cap(network: Network, batch_size: int) -> float:
    """What momentum makes of the largest root mean square of a minibatch's coordinate."""
    noise = gradient_noise(network, network.start, batch_size, directions=0)
    largest = (noise.gradient.square() + noise.variance).max()
    return convert.effective_lr(float(largest.sqrt()), MOMENTUM) if largest else CAP


@dataclass(frozen=True)
class _Runs:
    """Runs of a training and its models from one start; their points are [T, seeds, dimension].

    Every run has its own random numbers, those of the seed `first_seed` + `run`.
    """

    training: Training
    network: Network
    batch_size: int
    steps: int
    save_every: int
    seeds: int
    first_seed: int

    def train(self, landscape: Landscape, run: int, seeds: int) -> Tensor:
        """The training's own word with the gradients that `landscape` samples."""
        method, x0 = self.training, self.network.start.expand(seeds, -1)
        made = uninterrupted(simulate(
            method.dynamics, landscape, x0,
            step=method.step, steps=self.steps, word=method.word,
            save_every=self.save_every, noise=self.first_seed + run,
        ))  # fmt: skip
        return self._padded(made["x"], self.steps)

    def equation(self, run: int) -> Tensor:
        """The stochastic equation with the noise that minibatches have at every x."""
        method = self.training
        landscape = GaussianMinibatch(self.network, self.batch_size, method.refinement)
        made = self._continuous(
            method.model, landscape, method.model_word, self._start(), self.steps, run
        )
        return self._padded(made["x"], self.steps)

    def with_noise(self, pieces: list[tuple[int, Tensor]], run: int) -> Tensor:
        """The equation with the standard deviations [dimension] for so many steps, in turn."""
        method, state = self.training, self._start()
        points = state["x"][None]
        for number, (steps, std) in enumerate(pieces):
            dynamics, lost = method.with_noise(std[:, None]), points[-1].isnan().any(-1)
            made = self._continuous(
                dynamics, self.network, method.noisy_word, state, steps, run + number
            )
            # one that was lost goes on somewhere, for the shape, and is not seen again
            state = {name: values[-1].nan_to_num() for name, values in made.states.items()}
            later = self._padded(made["x"], steps)[1:]
            points = torch.cat((points, torch.where(lost[:, None], torch.nan, later)))
        return points

    def noise_at(self, points: Tensor) -> Tensor:
        """Standard deviations [dimension] of a minibatch's gradient: of the mean variance over
        the points where it is finite, or else of the start."""
        variances = [self._variance(x) for x in points]
        finite = [v for v in variances if bool(torch.isfinite(v).all())]
        return torch.stack(finite or [self._variance(self.network.start)]).mean(0).sqrt()

    def _variance(self, x: Tensor) -> Tensor:
        return gradient_noise(self.network, x, self.batch_size, directions=0).variance

    def noise_along(self, points: Tensor, pieces: int) -> list[tuple[int, Tensor]]:
        """Steps and standard deviations of each piece, over some trajectories in the piece."""
        found = []
        for saved in torch.arange(len(points) - 1).tensor_split(pieces):
            visited = points[saved[0] : saved[-1] + 2, :_MEASURED].flatten(0, 1)
            found.append((len(saved) * self.save_every, self.noise_at(visited)))
        return found

    def _padded(self, points: Tensor, steps: int) -> Tensor:
        """All times of so many steps: a run ends early where every trajectory was lost."""
        missing = steps // self.save_every + 1 - len(points)
        return torch.cat((points, points.new_full((missing, *points.shape[1:]), torch.nan)))

    def _start(self) -> dict[str, Tensor]:
        method, x = self.training, self.network.start
        state = {"x": x.expand(self.seeds, -1)}
        if method.kick:
            state["p"] = -method.kick * method.model_step * self.network.gradient(x)
        return state

    def _continuous(
        self,
        dynamics: Dynamics,
        landscape: Landscape,
        word: str,
        state: dict[str, Tensor],
        steps: int,
        run: int,
    ) -> Trajectory:
        finer = self.training.refinement
        return uninterrupted(simulate(
            dynamics, landscape, state,
            step=self.training.model_step / finer, steps=steps * finer, word=word,
            save_every=self.save_every * finer, noise=self.first_seed + run,
        ))  # fmt: skip
