"""The built-in landscapes, over which the common tests run."""

import pytest

from dashpot.landscapes import (
    DoubleWell,
    Funnel,
    Himmelblau,
    Landscape,
    LogisticRegression,
    MuellerBrown,
    Phi4Chain,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
)

POLYNOMIALS = [
    Quadratic(2.0),
    Quadratic([0.5, 1.0, 40.0], centre=[1.0, -2.0, 0.5]),
    Quadratic([0.0, 3.0, 40.0], rotation=7, centre=-1.5),
    Rosenbrock(),
    Rosenbrock(3),
    Rosenbrock(6),
    DoubleWell(),
    DoubleWell(3),
    Himmelblau(),
    StyblinskiTang(1),
    StyblinskiTang(3),
    Phi4Chain(1),
    Phi4Chain(5, coupling=0.7),
]
EXPONENTIALS = [MuellerBrown(), Funnel(4, scale=1.5)]


@pytest.fixture(scope="session", params=POLYNOMIALS, ids=repr)
def polynomial(request: pytest.FixtureRequest) -> Landscape:
    """A built-in landscape that is a polynomial of degree at most four."""
    return request.param


@pytest.fixture(scope="session")
def breast_cancer() -> LogisticRegression:
    return LogisticRegression.breast_cancer()


@pytest.fixture(scope="session", params=[*POLYNOMIALS, *EXPONENTIALS, "breast cancer"], ids=repr)
def landscape(request: pytest.FixtureRequest) -> Landscape:
    """Any built-in landscape."""
    if request.param == "breast cancer":
        return request.getfixturevalue("breast_cancer")
    return request.param
