"""Independent linear algebra for the laws of words and of their equation, shared by the tests."""

import math

import numpy as np
import scipy.linalg
import torch
from hypothesis import strategies as st

WORDS = (
    "BAOAB", "ABOBA", "OBABO", "OABAO", "AOBOA", "BOAOB", "BAO", "OBA", "AOB", "ABO", "OAB", "BOA",
    "UBU", "BUB", "BU", "UB",
)  # fmt: skip
moderate = st.floats(0.05, 1.2)  # h√k <= 1.31: every word of the table is stable there
rates = st.floats(0.1, 3.0)


def by_hand(text: str, h: float, k: float, gamma: float, temperature: float) -> np.ndarray:
    """The stationary covariance from matrices of the letters, and scipy's Lyapunov solver."""
    move, noise = np.eye(2), np.zeros((2, 2))
    for letter in text:
        w = h / text.count(letter)
        a = math.exp(-gamma * w)
        spread = np.zeros((2, 2))
        if letter == "A":
            part = np.array([[1, w], [0, 1]])
        elif letter == "B":
            part = np.array([[1, 0], [-w * k, 1]])
        elif letter == "O":
            part = np.diag([1, a])
            spread = np.diag([0, temperature * (1 - a * a)])
        else:
            part, spread = van_loan(0.0, gamma, temperature, w)
        move, noise = part @ move, part @ noise @ part.T + spread
    return scipy.linalg.solve_discrete_lyapunov(move, noise)


def van_loan(k: float, gamma: float, temperature: float, t: float) -> tuple[np.ndarray, np.ndarray]:
    """e^{At} and the covariance of the noise after t of the equation (Van Loan 1978)."""
    a = np.array([[0.0, 1.0], [-k, -gamma]])
    d = np.diag([0.0, 2 * gamma * temperature])
    big = scipy.linalg.expm(t * np.block([[-a, d], [np.zeros((2, 2)), a.T]]))
    return big[2:, 2:].T, big[2:, 2:].T @ big[:2, 2:]


def close(found: torch.Tensor, expected: object, tolerance: float = 1e-10) -> None:
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
