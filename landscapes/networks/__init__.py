"""Networks of the training tasks, as plain torch modules."""

from .cnn import CNN
from .distilbert import DistilBERT
from .gpt import GPT
from .lstm import LSTM
from .resnet import ResNet18
from .vit import ViT

__all__ = ["CNN", "GPT", "LSTM", "DistilBERT", "ResNet18", "ViT"]
