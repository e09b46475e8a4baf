"""Negative fractions in the optimizer: it refuses before anything is written."""

import pytest
import torch
from problems import CoupledQuartic, Watched, closure_of, parameter

from dashpot.dynamics import (
    CADAM,
    CD,
    Dynamics,
    Nesterov,
)
from dashpot.integrators.optimizer import WordOptimizer

cd = CD(gamma=0.4, c=0.8)
cadam = CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1)
JUMP = "yoshida(BCDADCB)"


@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimizer_refuses_before_anything_is_written(steps: int) -> None:
    param, landscape = parameter([1.0, -0.6]), CoupledQuartic()
    made = WordOptimizer(cd, [param], lr=0.01, word=JUMP)
    closure = closure_of(made, param, landscape)
    for _ in range(steps):
        made.step(closure)
    point, state = param.detach().clone(), dict(made.state[param])
    if not steps:
        del made.state[param]
    made.param_groups[0]["lr"] = 50.0  # the first kick alone leaves no past
    with pytest.raises(RuntimeError, match=r"nothing was changed: letter C \(CubicDamping\)"):
        made.step(closure)
    assert torch.equal(param.detach(), point)
    assert (param in made.state) is bool(steps)
    for name, value in state.items():
        assert made.state[param][name] is value
    made.param_groups[0]["lr"] = 0.01
    made.step(closure)
    assert not torch.equal(param.detach(), point)


@pytest.mark.parametrize(
    ("dynamics", "word", "letter"),
    [(cadam, "yoshida(AEBCDCBEA)", "E"), (Nesterov(), "yoshida(BADAB)", "D")],
)
def test_an_optimizer_refuses_a_past_before_its_start(
    dynamics: Dynamics, word: str, letter: str
) -> None:
    param = parameter([1.0, -0.6])
    made = WordOptimizer(dynamics, [param], lr=0.1, word=word)
    with pytest.raises(RuntimeError, match=rf"nothing was changed: letter {letter} .*smaller h"):
        made.step(closure_of(made, param, CoupledQuartic()))
    assert param.tolist() == [1.0, -0.6]
    assert param not in made.state


def test_the_refusal_says_up_to_which_h_the_flow_exists() -> None:
    """C runs back for h/2 from p = ∇f, whose past is 1/(2 c p²): h < 1/(c max p²)."""
    param, landscape = parameter([1.0, -0.6]), CoupledQuartic()
    made = WordOptimizer(
        CD(0.4, 0.8), [param], lr=1.0, word="C:-1/2BADC:3/2", momentum_init="gradient"
    )
    largest = 1 / (0.8 * float(landscape.df(param.detach()).abs().max()) ** 2)
    with pytest.raises(RuntimeError, match=rf"up to h = {largest:.3g} from there"):
        made.step(closure_of(made, param, landscape))
    for size, refused in ((0.99 * largest, False), (1.01 * largest, True)):
        param = parameter([1.0, -0.6])
        made = WordOptimizer(
            CD(0.4, 0.8), [param], lr=size, word="C:-1/2BADC:3/2", momentum_init="gradient"
        )
        if refused:
            with pytest.raises(RuntimeError):
                made.step(closure_of(made, param, landscape))
        else:
            made.step(closure_of(made, param, landscape))
            assert torch.isfinite(param).all()


def test_asking_for_the_past_costs_no_gradient() -> None:
    """E reads the gradient, so its past does: one that the flow uses as well."""
    param, landscape = parameter([1.0, -0.6]), Watched(CoupledQuartic())
    made = WordOptimizer(cadam, [param], lr=0.1, word="suzuki(AEBCDCBEA)")
    assert made.backward
    for _ in range(3):
        made.step(closure_of(made, param, landscape))
    assert landscape.calls == 3 * made.gradients
    free = parameter([1.0, -0.6])
    twin = WordOptimizer(cadam, [free], lr=0.1, word="suzuki(AEBCDCBEA)")
    twin.backward = False
    for _ in range(3):
        twin.step(closure_of(twin, free, CoupledQuartic()))
    assert torch.equal(param.detach(), free.detach())


def test_a_parameter_that_comes_late_is_looked_at_with_its_own_step() -> None:
    """Its closing piece has size 0 where the others' has h: as if each had its own optimizer."""
    landscape = CoupledQuartic()

    def descended(late: list[bool]) -> list[torch.Tensor]:
        params = [parameter([1.0, -0.6]) for _ in late]
        made = WordOptimizer(cd, params, lr=0.01, word=JUMP)
        for step in range(4):

            def closure(step: int = step) -> None:
                for param, is_late in zip(params, late, strict=True):
                    param.grad = None if is_late and step < 2 else landscape.df(param.detach())

            made.step(closure)
        return [param.detach() for param in params]

    together = descended([False, True])
    for one, late in zip(together, (False, True), strict=True):
        assert torch.equal(one, descended([late])[0])
