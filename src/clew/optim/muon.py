"""Muon (Jordan et al. 2024): momentum whose singular values are made equal."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer, number

STEPS = 100  # of the iteration, at most


class Muon(Optimizer):
    """B ← μB + (1 − μ)g, θ ← θ − lr′ · O(B), where O keeps the singular vectors and makes the singular values about 1.

    O is a Newton–Schulz iteration with the polynomial a·X + b·X³ + c·X⁵, in bfloat16. For matrices only (ValueError).
    adjust_lr_fn: "original": lr′ = lr · √max(1, rows/columns); "match_rms_adamw": lr′ = 0.2 · lr · √max(rows, columns).
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        if isinstance(lr, Variable) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not number(lr) >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn is not None and adjust_lr_fn not in ("original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for param in group["params"]:
                if param.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}"
                    )

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"] = wrap(np.zeros_like(param._array))

    def _update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        momentum, rate = group["momentum"], number(group["lr"])
        mean = state["momentum_buffer"].memory()
        mean += (1 - momentum) * (grad - mean)
        update = grad + momentum * (mean - grad) if group["nesterov"] else mean
        update = orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = param.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            factor = 0.2 * max(rows, columns) ** 0.5
        else:
            factor = max(1, rows / columns) ** 0.5
        param *= 1 - rate * group["weight_decay"]
        param -= (rate * factor * update.astype(param.dtype)).astype(param.dtype, copy=False)


def _rounded(values: np.ndarray) -> np.ndarray:
    """float32 values rounded to bfloat16: sums are gathered in float32, results kept in 16 bits."""
    import ml_dtypes  # loaded when first needed

    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def orthogonalized(
    matrix: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float
) -> np.ndarray:
    """U Vᵀ of U S Vᵀ, about: X ← a·X + (b·XXᵀ + c·(XXᵀ)²)X from X = matrix / ‖matrix‖."""
    if steps >= STEPS:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = map(np.float32, coefficients)
    tall = matrix.shape[0] > matrix.shape[1]
    x = _rounded((matrix.T if tall else matrix).astype(np.float32))
    length = _rounded(np.sqrt(np.add.reduce(x * x, axis=None, keepdims=True)))
    x = _rounded(x / np.maximum(length, _rounded(np.array(eps, np.float32))))
    for _ in range(steps):
        gram = _rounded(x @ x.T)
        x = _rounded(a * x + _rounded(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


__all__ = ["Muon"]
