"""Landscapes by the names that commands take."""

import re
from collections.abc import Callable
from difflib import get_close_matches

import numpy as np

from ...landscapes import (
    DoubleWell,
    Funnel,
    Himmelblau,
    Landscape,
    LennardJones,
    LogisticRegression,
    Morse,
    MuellerBrown,
    Phi4Chain,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
)
from .errors import BadCallError

ANY: dict[str, tuple[int, Callable[[int], Landscape]]] = {
    "rosenbrock": (2, Rosenbrock),
    "quadratic": (2, lambda d: Quadratic(np.geomspace(1.0, 100.0, d) if d > 1 else 1.0)),
    "doublewell": (1, DoubleWell),
    "styblinski-tang": (2, StyblinskiTang),
    "funnel": (10, Funnel),
    "phi4": (16, Phi4Chain),
}
"""Those of any dimension: the one they have if none is asked for, and what makes them."""

ONE: dict[str, Callable[[], Landscape]] = {
    "himmelblau": Himmelblau,
    "mueller-brown": MuellerBrown,
    "breast-cancer": LogisticRegression.breast_cancer,
}
"""Those of one dimension."""

CLUSTERS: dict[str, Callable[[int], Landscape]] = {"lj": LennardJones, "morse": Morse}
"""Atomic clusters, followed by the number of atoms: lj13."""

MOST_ATOMS = 1000
MOST_COORDINATES = 1_000_000

NAMES = f"{', '.join((*ANY, *ONE))}, and clusters such as lj13 or morse13"


def landscape(name: str, dimension: int | None = None) -> Landscape:
    """The landscape of a name. Raises BadCallError for a name or a dimension there is not."""
    if name in ANY:
        usual, make = ANY[name]
        if dimension is not None and dimension > MOST_COORDINATES:
            raise BadCallError(
                f"--dimension of {name} must be at most {MOST_COORDINATES}; got {dimension}"
            )
        try:
            return make(usual if dimension is None else dimension)
        except ValueError as error:
            raise BadCallError(f"--dimension of {name}: {error}") from None
    cluster = re.fullmatch(r"([a-z]+)(\d+)", name)
    is_cluster = cluster is not None and cluster[1] in CLUSTERS
    if name not in ONE and not is_cluster:
        close = get_close_matches(name.lower().replace("_", "-"), [*ANY, *ONE], 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise BadCallError(f"no landscape {name!r}; there are {NAMES}{hint}")
    if dimension is not None:
        raise BadCallError(f"--dimension goes with {', '.join(ANY)}; {name} has its own")
    if cluster is None or not is_cluster:
        return ONE[name]()
    if int(cluster[2]) > MOST_ATOMS:
        raise BadCallError(
            f"{name} has {int(cluster[2]) ** 2 / 2:.2g} pairs of atoms; a cluster may have "
            f"{MOST_ATOMS} atoms at most"
        )
    try:
        return CLUSTERS[cluster[1]](int(cluster[2]))
    except ValueError as error:
        raise BadCallError(str(error)) from None
