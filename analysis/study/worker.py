"""How a worker process starts; kept apart so that a worker imports only what it runs."""

import signal
import sys

import torch


def start_worker() -> None:
    torch.set_num_threads(1)  # the processes share the cores already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in good order: semaphores are freed
