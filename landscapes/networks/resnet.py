"""The residual network with 18 layers, for small images."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional


class ResNet18(nn.Module):
    """ResNet-18 for images of 32 × 32 pixels: [batch, 3, 32, 32] to scores [batch, classes].

    The stem is one 3 × 3 convolution at full resolution, without pooling; four stages of two
    blocks follow, each stage twice as wide at half the resolution; where the shape changes, the
    shortcut is a 1 × 1 convolution. Weights are drawn from torch's global generator as torch draws
    them: uniform in ±1/√(inputs of the layer). In training the scores of an image depend on the
    others of its batch, through batch normalisation.

    classes  number of classes
    width    channels of the first stage

    ResNet18(10) has 11,173,962 parameters.

    Source: K. He et al., Deep Residual Learning for Image Recognition (CVPR 2016).
    """

    def __init__(self, classes: int, *, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(3, width, 3, 1))
        self.stages = nn.Sequential(*_stages(width))
        self.scores = nn.Linear(8 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.stages(functional.relu(self.stem(images)))
        return self.scores(hidden.mean((-2, -1)))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_convolution(inputs, outputs, 3, stride),
            nn.ReLU(),
            *_convolution(outputs, outputs, 3, 1),
        )
        changes = inputs != outputs
        self.shortcut = nn.Sequential(*_convolution(inputs, outputs, 1, stride) if changes else ())

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.relu(self.branch(hidden) + self.shortcut(hidden))


def _stages(width: int) -> Iterator[nn.Module]:
    inputs = width
    for stage in range(4):
        outputs = width << stage
        yield _Block(inputs, outputs, 1 if stage == 0 else 2)
        yield _Block(outputs, outputs, 1)
        inputs = outputs


def _convolution(inputs: int, outputs: int, side: int, stride: int) -> tuple[nn.Module, nn.Module]:
    return (
        nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )
