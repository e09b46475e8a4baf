"""Data of the training tasks: from the files that people have, fetched, or stand-ins for them."""

from .glue_files import GlueTask
from .images import Images, cifar10
from .sentences import Sentences, glue
from .text import Text, openwebtext, shakespeare

__all__ = [
    "GlueTask",
    "Images",
    "Sentences",
    "Text",
    "cifar10",
    "glue",
    "openwebtext",
    "shakespeare",
]
