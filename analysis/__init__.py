"""What it shows: decay, orders, stability, energy, theorems, plots, training, and the study."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .gradient_noise.covariance import gradient_noise as gradient_noise  # a folder is called so

if TYPE_CHECKING:
    from .public import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """The names in `public`, loaded when the first is asked for.

        Figures and statistics take two seconds, which commands that need none are spared.
        """
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = import_module(".public", __name__)
        return globals()[name] if name in globals() else getattr(public, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
