"""Converters between torch's optimizers and words of a dynamics, exact wherever possible.

    from_sgd(lr=0.1, momentum=0.9).code()  # optim.LDHD(params, lr=0.316…, gamma=0.333…, word="BAD")
    to_sgd(LDHD(gamma=0.333), "BDA", lr=0.316).code()  # torch.optim.SGD(params, lr=…, momentum=…)
    from_adam(weight_decay=0.01, decoupled=True).optimizer(model.parameters())  # AdamW

A word's step size h is its `lr`; β = e^{−γh} is the momentum kept from one step to the next.
IKFAD and CD, and a cap on the step and CD's c, are converted here too; `langevin_of_sgd` is a
model of SGD with noisy gradients.
"""

from .adam import from_adam, to_adam
from .cubic import c_to_max_step, cd_to_ikfad, ikfad_to_cd, max_step_to_c
from .equivalent import Equivalent, TorchEquivalent
from .heavy_ball import kick_factor
from .langevin import LangevinModel, gradient_noise_temperature, langevin_of_sgd
from .sgd import effective_lr, from_sgd, ode_model_of_sgd, to_sgd

__all__ = [
    "Equivalent",
    "LangevinModel",
    "TorchEquivalent",
    "c_to_max_step",
    "cd_to_ikfad",
    "effective_lr",
    "from_adam",
    "from_sgd",
    "gradient_noise_temperature",
    "ikfad_to_cd",
    "kick_factor",
    "langevin_of_sgd",
    "max_step_to_c",
    "ode_model_of_sgd",
    "to_adam",
    "to_sgd",
]
