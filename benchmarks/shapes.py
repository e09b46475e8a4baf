"""Shapes of the parameters of three models, for timing optimizers without building the models."""

import torch


def gpt2_small() -> list[tuple[int, ...]]:
    """GPT-2 small: 12 blocks of width 768, 148 tensors, 124 439 808 parameters (tied output)."""
    width = 768
    block = [
        (width,), (width,), (width, 3 * width), (3 * width,), (width, width), (width,),
        (width,), (width,), (width, 4 * width), (4 * width,), (4 * width, width), (width,),
    ]  # fmt: skip
    return [(50257, width), (1024, width), *(12 * block), (width,), (width,)]


def resnet18() -> list[tuple[int, ...]]:
    """ResNet-18 with a 3 × 3 stem and 10 classes (CIFAR): 62 tensors, 11 173 962 parameters."""
    shapes: list[tuple[int, ...]] = [(64, 3, 3, 3), (64,), (64,)]
    before = 64
    for width in (64, 128, 256, 512):
        for first in (True, False):
            fan_in = before if first else width
            shapes += [(width, fan_in, 3, 3), (width,), (width,)]
            shapes += [(width, width, 3, 3), (width,), (width,)]
            if fan_in != width:
                shapes += [(width, fan_in, 1, 1), (width,), (width,)]
        before = width
    return [*shapes, (10, 512), (10,)]


def small_tensors() -> list[tuple[int, ...]]:
    """1000 vectors of 64 to 4096 elements, always the same ones."""
    draws = torch.Generator().manual_seed(0)
    return [(int(n),) for n in torch.randint(64, 4097, (1000,), generator=draws)]


SHAPES = {
    "GPT-2-small": gpt2_small,
    "ResNet-18": resnet18,
    "1000 small tensors": small_tensors,
}
