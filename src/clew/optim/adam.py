"""Adam (Kingma & Ba 2015) and AdamW, with decoupled weight decay (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer, check_not_recorded, number


class Adam(Optimizer):
    """θ ← θ − lr · m̂ / (√v̂ + ε), with m and v the running means of g and g², m̂ and v̂ corrected for their start at 0.

    amsgrad: the largest v so far instead of v (Reddi et al. 2018). ValueError for options out of range.
    """

    _decoupled = False

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Variable) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in (0, 1):
            if not 0.0 <= number(betas[i]) < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
                "fused": fused, "decoupled_weight_decay": decoupled_weight_decay or self._decoupled,
            },
        )  # fmt: skip
        check_not_recorded(self)

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.array(0.0, dtype=np.float32))
        zeros = np.zeros_like(param._array)
        state["exp_avg"] = wrap(zeros)
        state["exp_avg_sq"] = wrap(zeros.copy())
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = wrap(zeros.copy())

    def _update(self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        count = state["step"].memory()
        count += 1
        step = float(count)
        beta1, beta2 = number(group["betas"][0]), number(group["betas"][1])
        rate, decay = number(group["lr"]), group["weight_decay"]
        if group["maximize"]:
            grad = -grad
        if decay:
            if group["decoupled_weight_decay"]:
                param *= 1 - rate * decay
            else:
                grad = grad + decay * param
        mean, square = state["exp_avg"].memory(), state["exp_avg_sq"].memory()
        # The order of roundings is PyTorch's: m + (g − m)(1 − β₁), v β₂ + ((1 − β₂) g) g, θ + ((−α m) / d).
        scratch = grad - mean
        scratch *= 1 - beta1
        mean += scratch
        square *= beta2
        np.multiply(grad, 1 - beta2, out=scratch)
        scratch *= grad
        square += scratch
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"].memory()
            np.maximum(largest, square, out=largest)
            square = largest
        np.sqrt(square, out=scratch)
        scratch /= (1 - beta2**step) ** 0.5
        scratch += group["eps"]
        np.divide(mean * (-rate / (1 - beta1**step)), scratch, out=scratch)
        param += scratch


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters directly: θ ← θ (1 − lr · weight_decay) before the update."""

    _decoupled = True

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused,
        )  # fmt: skip


__all__ = ["Adam", "AdamW"]
