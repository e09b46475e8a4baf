"""Muon for hidden matrices and AdamW for all else, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from ...integrators.optimizers.tensors import is_sharded

OUTER = {
    *("tokens", "positions", "patches", "scores"),  # of the networks here
    *("embeddings", "wte", "wpe", "classifier", "head", "lm_head"),  # customary ones
}
"""Modules whose matrices are no hidden ones: embeddings, and what gives the scores."""


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon is meant for a parameter: two axes, and outside the modules of `OUTER`."""
    return parameter.ndim == 2 and not OUTER & set(name.split("."))


class Muon(Optimizer):
    """torch.optim.Muon for hidden matrices, torch.optim.AdamW for what is none.

    With momentum β, B ← β B + (1 − β) ∇f and its Nesterov look-ahead N = β B + (1 − β) ∇f, a
    matrix [m, n] follows

        x ← (1 − lr w) x − 0.2 √max(m, n) lr U,   U ≈ the orthogonal factor of N

    (five Newton–Schulz steps). The factor 0.2 √max(m, n) gives U the root mean square that
    AdamW's steps usually have, so lr and w mean what they mean there. Embeddings, the layer
    that gives the scores, biases, norms and convolution kernels are AdamW's. Of a matrix in
    shards every process moves the whole.

    params        (name, parameter) pairs: names tell hidden matrices from others
    lr, momentum  of the matrices
    adamw_lr      lr of AdamW; None: the same
    weight_decay  w of both, decoupled
    betas, fused  of AdamW
    adjust_lr_fn  "match_rms_adamw"; or "original", √max(1, m/n) in place of 0.2 √max(m, n)

    `param_groups` are the matrices and the rest, each with its own lr, so a scheduler moves both.
    Raises ValueError for parameters without names, and where none is a hidden matrix (it would be
    AdamW alone); RuntimeError for torch before 2.9, which has no Muon.

    Source: K. Jordan et al., Muon (2024); J. Liu et al., Muon is Scalable for LLM Training (2025),
    arXiv:2502.16982, for the factor.
    """

    def __init__(
        self,
        params: Iterable[tuple[str, Tensor]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        adamw_lr: float | None = None,
        *,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        fused: bool | None = True,
        adjust_lr_fn: str = "match_rms_adamw",
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise RuntimeError(f"Muon needs torch >= 2.9; this is {torch.__version__}")
        matrices, rest = _parted(params)
        muon = torch.optim.Muon(
            [matrices],
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            adjust_lr_fn=adjust_lr_fn,
        )
        adamw = AdamW(
            [rest],
            lr=lr if adamw_lr is None else adamw_lr,
            betas=betas,
            weight_decay=weight_decay,
            fused=fused,
        )
        super().__init__([*muon.param_groups, *adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            cls = AdamW if "betas" in group else torch.optim.Muon
            if cls is AdamW or not any(map(is_sharded, group["params"])):
                _step(cls, self.state, group)
                continue
            for matrix in group["params"]:
                if matrix.grad is not None:
                    _step_whole(matrix, self.state[matrix], group)
        return loss


def _step(cls: type[Optimizer], state: Any, group: dict[str, Any]) -> None:
    """One step of an optimizer that works on this state and this group, and keeps nothing."""
    one = cls.__new__(cls)
    one.__setstate__({"defaults": {}, "state": state, "param_groups": [group]})
    one.step()


def _step_whole(matrix: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of Muon on a matrix in shards: every process moves all of it and keeps its rows.

    On the shards themselves torch's refuses a matrix with fewer rows than processes, and rounds to
    bfloat16 sums that are not those of one process.
    """
    from torch.distributed.tensor import DTensor, Replicate

    def shard(whole: Tensor) -> Tensor:
        everywhere = [Replicate()] * matrix.device_mesh.ndim
        there = DTensor.from_local(whole, matrix.device_mesh, everywhere, run_check=False)
        return there.redistribute(placements=matrix.placements)

    whole = matrix.full_tensor()
    whole.grad = matrix.grad.full_tensor()
    found = {name: value.full_tensor() for name, value in state.items()}
    _step(torch.optim.Muon, {whole: found}, {**group, "params": [whole]})
    matrix.copy_(shard(whole))
    state.update({name: shard(value) for name, value in found.items()})


def _parted(params: Iterable[tuple[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hidden matrices and the rest, as parameter groups."""
    named = list(params)
    if not all(isinstance(one, tuple) for one in named):
        raise ValueError(
            "Muon needs names to tell hidden matrices from embeddings: pass "
            "model.named_parameters()"
        )
    parts = tuple(
        [pair for pair in named if is_hidden_matrix(*pair) is hidden] for hidden in (True, False)
    )
    if not parts[0]:
        raise ValueError(
            "Muon is for hidden matrices, and of these parameters none is one: it would be AdamW; "
            "take AdamW"
        )
    matrices, rest = (
        {"params": [p for _, p in part], "param_names": [n for n, _ in part]} for part in parts
    )
    return matrices, rest
