"""CIFAR-10 by a residual network, by a vision transformer and by a plain CNN."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ....landscapes.data import Images, cifar10
from ....landscapes.networks import CNN, ResNet18, ViT
from ..task import Plan, Setting
from .classification import ClassificationTask, at_most, epochs

_MARGIN = 4  # pixels, black, on each side of an image before it is cropped


class VisionTask(ClassificationTask):
    """Tells what an image shows. Images stay bytes until they are on the device of the network.

    augmented  whether training sees images cropped and mirrored at random; validation never is
    """

    def __init__(
        self,
        name: str,
        setting: Setting,
        data: Images,
        plan: Plan,
        build: Callable[[int], nn.Module],
        *,
        augmented: bool,
    ) -> None:
        super().__init__(name, setting, data, plan, build)
        self._is_augmented = augmented
        self._pixels = _Standardised.by(data.train.inputs)

    def network(self) -> nn.Module:
        pixels = _Standardised(self._pixels.mean.clone(), self._pixels.deviation.clone())
        return nn.Sequential(OrderedDict(pixels=pixels, network=super().network()))

    def _augmented(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        return crop_and_flip(inputs, generator) if self._is_augmented else inputs


class _Standardised(nn.Module):
    """Bytes of pixels to numbers with mean 0 and deviation 1 over the training data."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @classmethod
    def by(cls, images: Tensor) -> "_Standardised":
        """From bytes [n, channels, height, width]; a channel that is constant is only shifted."""
        counts = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in images.unbind(1)])
        shares = counts.double() / counts.sum(1, keepdim=True)
        values = torch.arange(256, dtype=torch.float64)
        mean = shares @ values
        deviation = (shares @ values**2 - mean**2).clamp(min=0).sqrt()
        deviation = torch.where(deviation > 0, deviation, 1.0)
        return cls(*(moment.float()[:, None, None] for moment in (mean, deviation)))

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.to(torch.float32, memory_format=torch.channels_last)  # convolutions like it
        return (pixels - self.mean) / self.deviation


def crop_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [n, channels, height, width] moved by up to 4 pixels, black beyond its border,
    and with probability 1/2 mirrored left to right.
    """
    height, width = images.shape[-2:]
    place = torch.randint(2 * _MARGIN + 1, (2, len(images), 1), generator=generator)
    mirrored = torch.randint(2, (len(images), 1), generator=generator).bool()
    across = torch.arange(width)
    rows = place[0] + torch.arange(height)
    columns = place[1] + torch.where(mirrored, across.flip(0), across)
    each = torch.arange(len(images))[:, None, None]
    padded = pad(images, (_MARGIN,) * 4)
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


# --- the tasks ------------------------------------------------------------------------------------


def cifar(setting: Setting, folder: Path | None, *, download: bool = False) -> VisionTask:
    """ResNet-18 on CIFAR-10, batches of 64, 40 epochs; the images as they are.

    small: at most 9,000 training images, a quarter of the channels, 5 epochs.
    """
    data = _images(setting, folder, download)
    width, number = {"full": (64, 40), "small": (16, 5), "tiny": (2, 2)}[setting]
    plan = epochs(data, number, 64)
    return VisionTask(
        "cifar", setting, data, plan, lambda n: ResNet18(n, width=width), augmented=False
    )


def vit(setting: Setting, folder: Path | None, *, download: bool = False) -> VisionTask:
    """A vision transformer of 4.0M parameters on CIFAR-10, cropped and mirrored; 128, 50 epochs.

    small: at most 9,000 training images, 4 layers of width 64, batches of 64, 10 epochs.
    """
    data = _images(setting, folder, download)
    width, layers, heads, size, number = {
        "full": (192, 9, 3, 128, 50),
        "small": (64, 4, 2, 64, 10),
        "tiny": (8, 1, 2, 64, 2),
    }[setting]
    plan = epochs(data, number, size)
    return VisionTask(
        "vit",
        setting,
        data,
        plan,
        lambda n: ViT(n, width=width, layers=layers, heads=heads),
        augmented=True,
    )


def cnn(setting: Setting, folder: Path | None, *, download: bool = False) -> VisionTask:
    """A plain CNN of 1.1M parameters on CIFAR-10, cropped and mirrored; batches of 64, 40 epochs.

    small: at most 9,000 training images, a quarter of the channels, 10 epochs.
    """
    data = _images(setting, folder, download)
    width, number = {"full": (64, 40), "small": (16, 10), "tiny": (2, 2)}[setting]
    plan = epochs(data, number, 64)
    return VisionTask("cnn", setting, data, plan, lambda n: CNN(n, width=width), augmented=True)


def _images(setting: Setting, folder: Path | None, download: bool) -> Images:
    data = cifar10(folder, download=download)
    if setting == "full":
        return data
    return at_most(data, *((9000, 1000, 2000) if setting == "small" else (256, 64, 64)))
