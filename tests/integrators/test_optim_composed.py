"""Optimizers of composed words: where the weight decay stands, jumps with a closure."""

from typing import Any

import pytest
import torch
from problems import CoupledQuartic, descend, parameter

from dashpot.dynamics import CD, LDHD
from dashpot.integrators import Word, optim, simulate
from dashpot.integrators.optimizer import WordOptimizer

ldhd, cd = LDHD(gamma=0.4), CD(gamma=0.3, c=0.8)


@pytest.mark.parametrize(
    ("word", "inserted"),
    [
        ("BCDA", "BCDWA"),
        ("BCDADCB", "BCDWAWDCB"),
        ("BADABC", "BWADABC"),
        ("BACDCAB", "BWACDCAWB"),
        ("B:1/2GAGB:1/2", "B:1/2GWAWGB:1/2"),
        ("yoshida(BACDCAB)", "yoshida(BWACDCAWB)"),
        ("suzuki(symmetrize(BCDA))", "suzuki(symmetrize(BCDWA))"),
        ("compose(BGAGB,1/4,1/2,1/4)", "compose(BGWAWGB,1/4,1/2,1/4)"),
    ],
)
def test_weight_decay_keeps_symmetric_words_symmetric(word: str, inserted: str) -> None:
    made = WordOptimizer(cd, [parameter([1.0])], lr=0.1, word=word, weight_decay=0.2)
    assert made.word.text == inserted
    assert made.word.is_symmetric is Word(word).is_symmetric
    assert made.word.order().order == Word(word, cd).order().order


@pytest.mark.parametrize("word", ["BCDADCB", "symmetrize(BCDA)"])
def test_an_optimizer_of_a_composed_word_is_the_simulator(word: str) -> None:
    param = parameter([1.0, -0.6])
    made = optim.CD([param], lr=0.05, gamma=0.3, c=0.8, word=word)
    points = descend(made, param, CoupledQuartic(), 20)
    run = simulate(cd, CoupledQuartic(), [1.0, -0.6], step=0.05, steps=20, word="BCDADCB")
    assert torch.allclose(points, run["x"], rtol=1e-13, atol=1e-13)


def test_a_jump_as_an_optimizer_takes_a_closure_and_is_the_simulator() -> None:
    param, landscape = parameter([1.0, -0.6]), CoupledQuartic()
    made = WordOptimizer(ldhd, [param], lr=0.05, word="yoshida(BADAB)")
    assert made.gradients == 3

    def closure() -> Any:
        param.grad = landscape.df(param.detach())
        return None

    points = [param.detach().clone()]
    for _ in range(10):
        made.step(closure)
        points.append(param.detach().clone())
    run = simulate(ldhd, landscape, [1.0, -0.6], step=0.05, steps=10, word="yoshida(BADAB)")
    assert torch.allclose(torch.stack(points), run["x"], rtol=1e-13, atol=1e-13)
