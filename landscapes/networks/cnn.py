"""A plain convolutional network."""

from collections.abc import Iterator

from torch import Tensor, nn


class CNN(nn.Module):
    """Convolutions, ReLU, pooling: images [batch, 3, side, side] to scores [batch, classes].

    Three stages of two 3 × 3 convolutions, each stage twice as wide as the one before and ended by
    the maximum over 2 × 2 pixels; then the mean over all places and one dense layer. No
    normalisation and no shortcuts. Weights of the convolutions are drawn from torch's global
    generator, normal with variance 2/(inputs of the layer), which keeps the scale of the signal
    through ReLU (K. He et al., Delving Deep into Rectifiers, ICCV 2015), biases 0; those of the
    dense layer uniform in ±1/√(inputs), as torch draws them.

    classes  number of classes
    width    channels of the first stage

    CNN(10) has 1,147,978 parameters. The form is that of K. Simonyan and A. Zisserman, Very Deep
    Convolutional Networks for Large-Scale Image Recognition (ICLR 2015).
    """

    def __init__(self, classes: int, *, width: int = 64) -> None:
        super().__init__()
        self.stages = nn.Sequential(*_stages(width))
        self.stages.apply(_initialise)
        self.scores = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.scores(self.stages(images).mean((-2, -1)))


def _stages(width: int) -> Iterator[nn.Module]:
    inputs = 3
    for outputs in (width, 2 * width, 4 * width):
        for channels in (inputs, outputs):
            yield nn.Conv2d(channels, outputs, 3, padding=1)
            yield nn.ReLU()
        yield nn.MaxPool2d(2)
        inputs = outputs


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
