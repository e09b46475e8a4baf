"""Muon for hidden matrices and AdamW for the rest, as one optimizer."""

import copy
import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_regression import equal, loss_of, net, run
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from dashpot.analysis.training.methods import METHODS
from dashpot.analysis.training.muon import Muon, is_hidden_matrix
from dashpot.landscapes.networks import CNN, GPT, LSTM, ResNet18, ViT


def apart(network: nn.Module, **others: Any) -> tuple[Optimizer, Optimizer]:
    """torch's Muon and AdamW on what each is meant for, apart from each other."""
    matrices = [p for p in network.parameters() if p.ndim == 2]
    rest = [p for p in network.parameters() if p.ndim != 2]
    return (
        torch.optim.Muon(matrices, lr=0.02, momentum=0.9, adjust_lr_fn="match_rms_adamw", **others),
        AdamW(rest, lr=0.003, betas=(0.9, 0.95), fused=True, **others),
    )


def muon(network: nn.Module, **others: Any) -> Optimizer:
    values = {"lr": 0.02, "momentum": 0.9, "adamw_lr": 0.003}
    return METHODS["Muon"].build(network.named_parameters(), {**values, **others})


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_muon_is_torchs_muon_and_adamw(weight_decay: float) -> None:
    one, other = net(), net()
    optimizer, parts = muon(one, weight_decay=weight_decay), apart(other, weight_decay=weight_decay)
    halves: Callable[[int], float] = lambda step: 0.5**step  # noqa: E731
    schedulers = [LambdaLR(each, halves) for each in (optimizer, *parts)]
    for step in range(4):
        run(one, optimizer, steps=1, first=step)
        run(other, *parts, steps=1, first=step)
        assert equal(one, other)
        for scheduler in schedulers:
            scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.02 / 16, 0.003 / 16]


def saved_and_loaded(optimizer: Optimizer, network: nn.Module) -> Optimizer:
    handle = io.BytesIO()
    torch.save(optimizer.state_dict(), handle)
    handle.seek(0)
    loaded = muon(network)
    loaded.load_state_dict(torch.load(handle, weights_only=True))
    return loaded


def copied(optimizer: Optimizer, network: nn.Module) -> Optimizer:
    return both_copied(copy.deepcopy((network, optimizer)), network)


def pickled(optimizer: Optimizer, network: nn.Module) -> Optimizer:
    return both_copied(pickle.loads(pickle.dumps((network, optimizer))), network)


def both_copied(pair: tuple[nn.Module, Optimizer], network: nn.Module) -> Optimizer:
    """The copy of the optimizer, moving the network that is at hand."""
    theirs: dict[Any, Any] = dict(zip(pair[0].parameters(), network.parameters(), strict=True))
    for group in pair[1].param_groups:
        group["params"] = [theirs[p] for p in group["params"]]
    pair[1].state = type(pair[1].state)(dict, {theirs[p]: s for p, s in pair[1].state.items()})
    return pair[1]


@pytest.mark.parametrize("way", [saved_and_loaded, copied, pickled])
def test_muon_goes_on(way: Callable[[Optimizer, nn.Module], Optimizer]) -> None:
    whole, cut = net(), net()
    run(whole, muon(whole, weight_decay=0.1), steps=6)
    before = muon(cut, weight_decay=0.1)
    run(cut, before, steps=3)
    assert len(before.state) == len(list(cut.parameters()))
    run(cut, way(before, cut), steps=3, first=3)
    assert equal(whole, cut)


def test_muon_behind_a_scaler() -> None:
    # The scale is a power of 2: dividing by it is exact. An infinite gradient is a step left out.
    one, other = net(), net()
    plain, scaled = muon(one), muon(other)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    run(one, plain, steps=3)
    for step in (0, 1, None, 2):
        scaled.zero_grad()
        scaler.scale(loss_of(other, step or 0)).backward()
        if step is None:
            next(other.parameters()).grad = torch.full_like(next(other.parameters()), math.inf)
        scaler.step(scaled)
        scaler.update()
    assert equal(one, other)


def test_muon_takes_a_closure() -> None:
    one, other = net(), net()
    run(one, muon(one), steps=1)
    optimizer = muon(other)

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of(other, 0)
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == loss_of(net(), 0).item()
    assert equal(one, other)


def test_the_step_of_a_matrix() -> None:
    # 0.2 √max(m, n) lr U, U = Σ s_i u_i v_iᵀ: the singular vectors of the gradient, with s_i
    # that five Newton–Schulz steps bring near 1.
    weight = nn.Parameter(torch.zeros(6, 24))
    weight.grad = torch.randn(6, 24, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(weight.grad, full_matrices=False)
    Muon([("weight", weight)], lr=0.1, momentum=0.0).step()
    found = u.T @ (weight.detach() / (-0.2 * math.sqrt(24) * 0.1)) @ vh.T
    assert (found.diag() > 0.6).all() and (found.diag() < 1.3).all()
    assert (found - found.diag().diag()).abs().max() < 0.05  # bfloat16


@pytest.mark.parametrize(
    ("network", "matrices"),
    [
        (GPT(5, block=4, layers=3, heads=1, width=4), 3 * 4),  # qkv, out and two dense layers
        (ViT(5, width=4, layers=3, heads=1), 3 * 4),
        (LSTM(5, width=4, layers=2), 2 * 2),  # from the input, from the state
    ],
)
def test_hidden_matrices(network: nn.Module, matrices: int) -> None:
    hidden, rest = Muon(network.named_parameters()).param_groups
    assert len(hidden["params"]) == matrices
    assert len(rest["params"]) == len(list(network.parameters())) - matrices
    outer = ("tokens.", "positions.", "patches.", "scores.")
    assert not any(name.startswith(outer) for name in hidden["param_names"])
    assert all(
        is_hidden_matrix(f"module.{name}", torch.ones(2, 2)) for name in hidden["param_names"]
    )


def test_what_muon_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"pass model.named_parameters\(\)"):
        METHODS["Muon"].build(net().parameters(), {"lr": 0.1, "momentum": 0.9, "adamw_lr": 0.1})
    for network in (CNN(2, width=2), ResNet18(2, width=2)):
        with pytest.raises(ValueError, match="it would be AdamW"):
            Muon(network.named_parameters())
    for wrong in ({"lr": -1.0}, {"momentum": -1.0}, {"adamw_lr": -1.0}, {"weight_decay": -1.0}):
        with pytest.raises(ValueError, match=r"-1\.0"):
            muon(net(), **wrong)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(RuntimeError, match=r"torch >= 2\.9"):
        muon(net())
