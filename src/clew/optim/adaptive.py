"""Optimizers with a rate for each number: Adagrad, RMSprop, Adadelta, Adamax, NAdam, RAdam.

Each names what its state keeps and says one update on raw arrays. g is the gradient (plus weight_decay · θ), t the step.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer, check_not_recorded, number

MESSAGES = {
    "lr": "Invalid learning rate: {}", "eps": "Invalid epsilon value: {}", "momentum": "Invalid momentum value: {}",
    "weight_decay": "Invalid weight_decay value: {}", "alpha": "Invalid alpha value: {}", "rho": "Invalid rho value: {}",
    "lr_decay": "Invalid lr_decay value: {}", "momentum_decay": "Invalid momentum_decay value: {}",
    "initial_accumulator_value": "Invalid initial_accumulator_value value: {}",
}  # fmt: skip


def check_options(options: dict[str, Any], *names: str) -> None:
    """ValueError for the first of some options that is negative or not a number; and for betas outside [0, 1)."""
    lr = options["lr"]
    if isinstance(lr, Variable) and lr._array.size != 1:
        raise ValueError("Tensor lr must be 1-element")
    for name in names:
        if not number(options[name]) >= 0.0:
            raise ValueError(MESSAGES[name].format(options[name]))
    for i, beta in enumerate(options.get("betas", ())):
        if not 0.0 <= number(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


class Adaptive(Optimizer):
    """What these optimizers share: a step count, state arrays of the parameter's shape, weight decay."""

    keeps: ClassVar[tuple[str, ...]] = ()

    def _begin(self, params: Any, options: dict[str, Any], *checked: str) -> None:
        check_options(options, *checked)
        super().__init__(params, options)
        check_not_recorded(self)

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        for name in self.keeps:
            state[name] = wrap(np.zeros_like(param._array))

    def _update(self, param: ndarray, grad: ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = state["step"]
        step._array = step._array + np.float32(1)
        if group["maximize"]:
            grad = -grad
        decay = number(group["weight_decay"])
        if decay:
            if group.get("decoupled_weight_decay"):
                param *= 1 - number(group["lr"]) * decay
            else:
                grad = grad + decay * param
        self._rule(param, grad, float(step._array), state, group)

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One update in place."""
        raise NotImplementedError


class Adagrad(Adaptive):
    """s ← s + g², θ ← θ − lr′ · g / (√s + ε), lr′ = lr / (1 + (t − 1) · lr_decay) (Duchi et al. 2011)."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0, initial_accumulator_value: float = 0,
        eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        self._begin(params, options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        for group in self.param_groups:
            for param in group["params"]:
                self._start(param, group, self.state[param])

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        state["sum"] = wrap(np.full_like(param._array, group["initial_accumulator_value"]))

    def share_memory(self) -> None:
        """The state moved into memory that forked processes share with this one."""
        for state in self.state.values():
            state["sum"].share_memory_()
            state["step"].share_memory_()

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        total = state["sum"].memory()
        total += g * g
        param -= (
            number(group["lr"]) / (1 + (t - 1) * group["lr_decay"]) * (g / (np.sqrt(total) + group["eps"]))
        )


class RMSprop(Adaptive):
    """s ← α·s + (1 − α)·g², θ ← θ − lr · g / (√s + ε); centered: s less the square of the mean gradient (Hinton 2012)."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0, momentum: float = 0,
        centered: bool = False, capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        self._begin(params, options, "lr", "eps", "momentum", "weight_decay", "alpha")

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        for name, kept in (
            ("square_avg", True),
            ("momentum_buffer", group["momentum"] > 0),
            ("grad_avg", group["centered"]),
        ):
            if kept:
                state[name] = wrap(np.zeros_like(param._array))

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        alpha, square = group["alpha"], state["square_avg"].memory()
        square *= alpha
        square += (1 - alpha) * (g * g)
        if group["centered"]:
            mean = state["grad_avg"].memory()
            mean += (1 - alpha) * (g - mean)
            scale = np.sqrt(square - mean * mean) + group["eps"]
        else:
            scale = np.sqrt(square) + group["eps"]
        step = g / scale
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"].memory()
            buffer *= group["momentum"]
            buffer += step
            step = buffer
        param -= number(group["lr"]) * step


class Adadelta(Adaptive):
    """s ← ρ·s + (1 − ρ)·g², δ = √(a + ε) / √(s + ε) · g, a ← ρ·a + (1 − ρ)·δ², θ ← θ − lr·δ (Zeiler 2012)."""

    keeps = ("square_avg", "acc_delta")

    def __init__(
        self, params: Any, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        check_options(options, "lr")
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        self._begin(params, options, "eps", "weight_decay")

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        rho, eps = group["rho"], group["eps"]
        square, moved = state["square_avg"].memory(), state["acc_delta"].memory()
        square *= rho
        square += (1 - rho) * (g * g)
        delta = np.sqrt(moved + eps) / np.sqrt(square + eps) * g
        moved *= rho
        moved += (1 - rho) * (delta * delta)
        param -= number(group["lr"]) * delta


class Adamax(Adaptive):
    """Adam with the largest gradient so far, fading: u ← max(β₂·u, |g| + ε), θ ← θ − lr · m̂ / u (Kingma and Ba 2015)."""

    keeps = ("exp_avg", "exp_inf")

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        self._begin(params, options, "lr", "eps", "weight_decay")

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        mean, largest = state["exp_avg"].memory(), state["exp_inf"].memory()
        mean += (1 - beta1) * (g - mean)
        np.maximum(largest * beta2, np.abs(g) + group["eps"], out=largest)
        param -= number(group["lr"]) / (1 - beta1**t) * (mean / largest)


class NAdam(Adaptive):
    """Adam with Nesterov's momentum: μ_t = β₁·(1 − ½·0.96^(t·momentum_decay)) (Dozat 2016)."""

    keeps = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        self._begin(params, options, "lr", "eps", "weight_decay", "momentum_decay")

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        state["mu_product"] = wrap(np.float32(1.0))
        for name in self.keeps:
            state[name] = wrap(np.zeros_like(param._array))

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        rate, decay = number(group["lr"]), group["momentum_decay"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * decay))
        following = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * decay))
        product = state["mu_product"]
        product._array = np.float32(product._array * np.float32(mu))
        so_far = float(product._array)
        mean, square = state["exp_avg"].memory(), state["exp_avg_sq"].memory()
        mean += (1 - beta1) * (g - mean)
        square *= beta2
        square += (1 - beta2) * (g * g)
        scale = np.sqrt(square / (1 - beta2**t)) + group["eps"]
        param -= rate * (1.0 - mu) / (1.0 - so_far) * (g / scale)
        param -= rate * following / (1.0 - so_far * following) * (mean / scale)


class RAdam(Adaptive):
    """Adam whose adaptive rate waits until the variance of g² is known well enough: ρ_t > 5 (Liu et al. 2020)."""

    keeps = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        self._begin(params, options, "lr", "eps", "weight_decay")

    def _rule(
        self, param: ndarray, g: ndarray, t: float, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        mean, square = state["exp_avg"].memory(), state["exp_avg_sq"].memory()
        mean += (1 - beta1) * (g - mean)
        square *= beta2
        square += (1 - beta2) * (g * g)
        step = mean / (1 - beta1**t) * number(group["lr"])
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        if length > 5.0:
            share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            step = step * (np.sqrt(1 - beta2**t) / (np.sqrt(square) + group["eps"])) * np.sqrt(share)
        param -= step


__all__ = ["Adadelta", "Adagrad", "Adamax", "NAdam", "RAdam", "RMSprop"]
