"""Adam (Kingma & Ba 2015) and AdamW, with decoupled weight decay (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.kernels import pick
from clew.optim.bundle import Bundle, bundled, same_parameters
from clew.optim.optimizer import Optimizer, check_not_recorded, number, scalar


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
        state["step"] = wrap(np.float32(0.0))
        for name in _names(group):
            state[name] = wrap(np.zeros_like(param._array))

    def _step_group(self, group: dict[str, Any], place: Any) -> None:
        params = [p for p in group["params"] if p._meta is not None and p._meta.grad is not None]
        if not params:
            return
        held, bundles = self._bundles.get(id(group), ((), ()))
        if not same_parameters(held, params) or not all(bundle.current(self.state) for bundle in bundles):
            for param in params:
                if not self.state[param]:
                    self._start(param, group, self.state[param])
            bundles = tuple(bundled(params, self.state, _names(group)))
            self._bundles[id(group)] = params, bundles
        for bundle in bundles:
            _update(bundle, group, place)


def _names(group: dict[str, Any]) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")


def _update(bundle: Bundle, group: dict[str, Any], place: Any) -> None:
    """Work out a bundle's update. The order of roundings is PyTorch's."""
    step = bundle.advance()
    if _updated_at_once(bundle, group, step, place):
        return
    beta1, beta2 = number(group["betas"][0]), number(group["betas"][1])
    rate, decay = scalar(group["lr"]), group["weight_decay"]
    grad = bundle.gather()
    if group["maximize"]:
        np.negative(grad, grad)
    if decay:
        if group["decoupled_weight_decay"]:
            kept = float(1 - rate * decay)
            for param in bundle.params:
                param.memory()[...] *= kept
        else:
            for param, part in zip(bundle.params, bundle.grads, strict=True):
                part += decay * param._array
    mean, square = bundle.kept[:2]
    scratch, update = bundle.scratch, bundle.update
    fresh1, fresh2, stay2, root, eps, factor = bundle.numbers(
        1 - beta1, 1 - beta2, beta2, (1 - beta2**step) ** 0.5, group["eps"], float(-rate / (1 - beta1**step))
    )
    np.subtract(grad, mean, scratch)  # m + (g − m)(1 − β₁)
    np.multiply(scratch, fresh1, scratch)
    np.add(mean, scratch, mean)
    np.multiply(square, stay2, square)  # v β₂ + ((1 − β₂) g) g
    np.multiply(grad, fresh2, scratch)
    np.multiply(scratch, grad, scratch)
    np.add(square, scratch, square)
    if len(bundle.kept) == 3:
        square = np.maximum(bundle.kept[2], square, out=bundle.kept[2])
    np.sqrt(square, scratch)  # (−α m) / (√v / √(1 − β₂ᵗ) + ε)
    np.divide(scratch, root, scratch)
    np.add(scratch, eps, scratch)
    np.multiply(mean, factor, update)
    np.divide(update, scratch, update)
    bundle.apply(place)


def _updated_at_once(bundle: Bundle, group: dict[str, Any], step: float, place: Any) -> bool:
    """The step of a single large parameter in one pass over memory. False: nothing is done."""
    if len(bundle.params) != 1 or len(bundle.kept) != 2 or group["maximize"]:
        return False
    (param,) = bundle.params
    array, grad = param._array, param._meta.grad._array
    kernel = pick("adam", array, grad) if grad.shape == array.shape else None
    if kernel is None:
        return False
    beta1, beta2 = number(group["betas"][0]), number(group["betas"][1])
    rate, decay = scalar(group["lr"]), group["weight_decay"]
    keep, added = (1 - rate * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)
    kernel(
        array, grad, *bundle.kept, float(keep), added,
        1 - beta1, 1 - beta2, beta2, (1 - beta2**step) ** 0.5, group["eps"], float(-rate / (1 - beta1**step)),
    )  # fmt: skip
    bundle.written(param, place)
    return True


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
