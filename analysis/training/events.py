"""What a run logs, for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """Numbers as TensorBoard's scalars, kind/name, in the folder `events` of a run.

    What an earlier session wrote after the step at which this one begins is withdrawn; all of it
    where it begins anew.
    ImportError without the extra `tensorboard`.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = writer()(str(folder / "events"), purge_step=step and step + 1)

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                self.write(f"{kind}/{name}", step, value)
            elif isinstance(value, int | float):
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


def writer() -> Any:
    """torch's SummaryWriter; ImportError says what to install."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoard needs the extra tensorboard: pip install 'dashpot[tensorboard]'"
        ) from error
    return SummaryWriter
