"""What ran a benchmark."""

import os
import platform

import torch


def machine(share: str) -> str:
    """The processor, how much of it was used, and the versions, in a few words."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            models = (line.split(":")[1].strip() for line in lines if "model name" in line)
            name = next(models, name)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {share}, {versions}"


def on_threads() -> str:
    return f"{torch.get_num_threads()} thread(s)"
