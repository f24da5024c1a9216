"""Stochastic gradient descent, with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer, check_not_recorded, number


class SGD(Optimizer):
    """θ ← θ − lr · d, d = g + weight_decay · θ; with momentum d is μ · buffer + (1 − dampening) · g.

    nesterov: the gradient plus momentum times the new buffer. ValueError for negative options.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: Any = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        if isinstance(lr, Variable) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
                "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip
        check_not_recorded(self)

    def _step_group(self, group: dict[str, Any], place: Any) -> None:
        if group["momentum"]:
            super()._step_group(group, place)
            return
        # Without momentum there is no state: nothing to look up.
        rate, decay = number(group["lr"]), number(group["weight_decay"])
        if group["maximize"]:
            rate, decay = -rate, -decay
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            array = param._array
            g = grad._array
            if decay:
                g = g + decay * array
            if array.__class__ is np.ndarray:
                np.subtract(array, g * rate, array)
            else:
                param._rebind(array - array.dtype.type(rate * g))
            version = param.version()
            version.n += 1
            version.where = place

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"] = None

    def _update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + number(group["weight_decay"]) * param
        held = state.get("momentum_buffer")
        if held is None:
            buffer = np.array(grad)
            state["momentum_buffer"] = wrap(buffer)
        else:
            buffer = held.memory()
            buffer *= group["momentum"]
            buffer += grad if not group["dampening"] else (1 - group["dampening"]) * grad
        step = grad + group["momentum"] * buffer if group["nesterov"] else buffer
        param -= number(group["lr"]) * step


__all__ = ["SGD"]
