"""Stochastic gradient descent, with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.kernels import pick
from clew.ops._builders import kept_number
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
        dtype = factor = None
        for param in group["params"]:
            meta = param._meta
            if meta is None or meta.grad is None:
                continue
            array = param._array
            g = meta.grad._array
            if decay:
                g = g + kept_number(decay, array.dtype) * array
            if array.__class__ is np.ndarray:
                if array.dtype is not dtype:
                    dtype = array.dtype
                    factor = kept_number(rate, dtype)
                np.subtract(array, g * factor, array)
            else:
                param._rebind(array - array.dtype.type(rate * g))
            version = param._counter or param.version()
            version.n += 1
            version.where = place

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"] = None

    def _update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        held = state.get("momentum_buffer")
        if (
            held is not None
            and not group["dampening"]
            and not group["nesterov"]
            and _at_once(param, grad, held, group)
        ):
            return
        dtype = param.dtype
        momentum = kept_number(group["momentum"], dtype)
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + kept_number(number(group["weight_decay"]), dtype) * param
        if held is None:
            buffer = np.array(grad)
            state["momentum_buffer"] = wrap(buffer)
        else:
            buffer = held.memory()
            buffer *= momentum
            buffer += grad if not group["dampening"] else (1 - group["dampening"]) * grad
        step = grad + momentum * buffer if group["nesterov"] else buffer
        param -= kept_number(number(group["lr"]), dtype) * step


def _at_once(param: np.ndarray, grad: np.ndarray, held: Any, group: dict[str, Any]) -> bool:
    """The update of a large parameter in one pass over memory. False: nothing is done."""
    buffer = held.memory()
    if (
        group["maximize"]
        or grad.shape != param.shape
        or not (kernel := pick("momentum", param, grad, buffer))
    ):
        return False
    kernel(param, grad, buffer, group["momentum"], number(group["lr"]), number(group["weight_decay"]))
    return True


__all__ = ["SGD"]
