"""The commands of `dashpot`, one module each: a dataclass of arguments with `check` and `run`."""
