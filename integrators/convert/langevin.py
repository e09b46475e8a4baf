"""torch's SGD with momentum and noisy gradients, as Langevin dynamics at a temperature."""

from typing import Any, NamedTuple

import torch

from ...dynamics import Langevin
from .checks import finite, number, positive
from .sgd import from_sgd, ode_model_of_sgd


class LangevinModel(NamedTuple):
    """A model of noisy heavy ball: its n-th iterate has, nearly, the law of x at time n·`step`.

    dynamics  Langevin(gamma, temperature)
    step      the time h that one step of the optimizer covers
    kick      the model starts with p₀ = −kick h ∇f(x₀); see `start`
    """

    dynamics: Langevin
    step: float
    kick: float

    def start(self, x0: Any, gradient: Any) -> dict[str, Any]:
        """The first state for `simulate`, given ∇f(x₀)."""
        return {"x": x0, "p": -self.kick * self.step * gradient}


def langevin_of_sgd(
    lr: float, momentum: float, noise_std: Any, *, published: bool = False
) -> LangevinModel:
    """The Langevin dynamics that torch's SGD follows when its gradients are noisy:

        h = √(2 lr/(1 + β)),   γ = −ln β/h,   T = h s²/(2γ),   p₀ = −(h/2) ∇f(x₀)

    s = `noise_std`, the standard deviation of a gradient's coordinate: a number, or one for each
    coordinate, [*shape, 1] for a batch of trajectories. Near a minimum of curvature k the model
    has ⟨x²⟩ = T/k, with a relative error O(h²). With `published`, the usual reading
    h = √lr, p₀ = 0 is made, whose error is O(h).

    It is a model, not an identity: the noise must be nearly Gaussian and change little with x.
    Raises ValueError unless lr > 0, 0 < momentum < 1 and s >= 0 (without momentum see
    `analysis.stochastic_modified_equation`).
    """
    positive(lr=lr)
    finite(momentum=momentum)
    if not 0 < momentum < 1:
        raise ValueError(
            f"momentum must be a number between 0 and 1, both excluded; got {momentum} (without "
            "momentum SGD is overdamped: see analysis.stochastic_modified_equation)"
        )
    made = from_sgd(lr, momentum, word="BAD") if published else ode_model_of_sgd(lr, momentum)
    gamma = number(made.dynamics, "gamma")
    temperature = gradient_noise_temperature(made.lr, noise_std, gamma)
    return LangevinModel(Langevin(gamma, temperature), made.lr, made.kick)


def gradient_noise_temperature(step: float, noise_std: Any, gamma: float = 1.0) -> Any:
    """T = h s²/(2γ), at which dp = −∇f − γp + √h s dW is Langevin dynamics; like `noise_std`.

    A kick by −h (∇f + s z) each step h is that noise. With γ = 1 and h = lr it is the temperature
    of SGD without momentum, dx = −∇f dt + √lr s dW. Source: S. Mandt, M. D. Hoffman, D. M. Blei,
    Stochastic gradient descent as approximate Bayesian inference, JMLR 18(134) (2017).
    """
    positive(step=step, gamma=gamma)
    std = torch.as_tensor(noise_std, dtype=torch.float64)
    if not bool((torch.isfinite(std) & (std >= 0)).all()):
        raise ValueError(f"noise_std must be finite and >= 0; got {noise_std}")
    return step * noise_std * noise_std / (2 * gamma)
