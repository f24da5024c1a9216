"""Rprop, averaged gradient descent, and SparseAdam, which wants what clew has not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.variable import wrap
from clew.optim.adaptive import Adaptive, check_options
from clew.optim.optimizer import Optimizer, number


class Rprop(Adaptive):
    """Steps that grow by η⁺ while the gradient keeps its sign and shrink by η⁻ when it turns (Riedmiller and Braun 1993)."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        check_options(options, "lr")
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        self._begin(params, options)

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        state["prev"] = wrap(np.zeros_like(param._array))
        state["step_size"] = wrap(np.full_like(param._array, number(group["lr"])))

    def _update(self, param: ndarray, grad: ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = state["step"]
        step._array = step._array + np.float32(1)
        grad = -grad if group["maximize"] else np.array(grad)
        before, size = state["prev"].memory(), state["step_size"].memory()
        turn = np.sign(grad * before)
        shrink, grow = group["etas"]
        size *= np.where(turn > 0, grow, np.where(turn < 0, shrink, 1)).astype(size.dtype)
        np.clip(size, *group["step_sizes"], out=size)
        grad[turn < 0] = 0
        param -= np.sign(grad) * size
        before[...] = grad


class ASGD(Adaptive):
    """Gradient descent that averages its path: η_t = lr / (1 + λ·lr·t)^α (Polyak and Juditsky 1992)."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6, weight_decay: float = 0,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        self._begin(params, options, "lr", "weight_decay")

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        kind = param._array.dtype.type if param._array.dtype.kind == "f" else np.float32
        state["eta"] = wrap(kind(number(group["lr"])))
        state["mu"] = wrap(kind(1.0))
        state["ax"] = wrap(np.zeros_like(param._array))

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        eta, mu, mean = state["eta"], state["mu"], state["ax"].memory()
        rate, kind = number(group["lr"]), eta._array.dtype.type
        param *= 1 - group["lambd"] * float(eta._array)
        param -= float(eta._array) * g
        if float(mu._array) != 1:
            mean += (param - mean) * float(mu._array)
        else:
            mean[...] = param
        eta._array = kind(rate / (1 + group["lambd"] * rate * t) ** group["alpha"])
        mu._array = kind(1 / max(1, t - group["t0"]))


class SparseAdam(Optimizer):
    """Adam for sparse gradients. clew has dense tensors only, and like PyTorch's it refuses dense gradients."""

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, maximize: bool = False
    ) -> None:  # fmt: skip
        options = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        if not number(lr) > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        check_options(options, "eps")
        super().__init__(params, options)

    def _step_group(self, group: dict[str, Any], place: Any) -> None:
        if any(param.grad is not None for param in group["params"]):
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")


__all__ = ["ASGD", "Rprop", "SparseAdam"]
