"""Adafactor (Shazeer and Stern 2018): second moments of matrices kept as a column and a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from clew.core.variable import Variable, wrap
from clew.optim.optimizer import Optimizer, number


class Adafactor(Optimizer):
    """θ ← θ − max(ε₂, RMS(θ)) · ρ_t · u / max(1, RMS(u) / d), u = g / √v̂, ρ_t = min(lr, 1/√t), β₂ = 1 − t^beta2_decay.

    Of a matrix only the means of g² over columns and over rows are kept: v̂ = r cᵀ / mean(r). eps: (ε₁, ε₂); None for ε₁ is
    the type's own. ValueError for options out of range.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Variable) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        checks = [
            (number(lr) >= 0.0, "Learning rate should be >= 0 but is", lr),
            (beta2_decay <= 0.0, "beta2_decay should be <= 0 but is", beta2_decay),
            (eps[0] is None or eps[0] >= 0.0, "epsilon1 should be >= 0 but is", eps[0]),
            (eps[1] >= 0.0, "epsilon2 should be >= 0 but is", eps[1]),
            (d >= 1.0, "Clipping threshold d should be >= 1 but is", d),
            (weight_decay >= 0.0, "weight_decay should be >= 0 but is", weight_decay),
        ]
        for fine, sentence, value in checks:
            if not fine:
                raise ValueError(f"{sentence}: {value}")
        super().__init__(
            params,
            {
                "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize,
            },
        )  # fmt: skip

    def _start(self, param: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = wrap(np.float32(0.0))
        array = param._array
        if array.ndim > 1:
            state["row_var"] = wrap(np.zeros((*array.shape[:-1], 1), array.dtype))
            state["col_var"] = wrap(np.zeros((*array.shape[:-2], 1, array.shape[-1]), array.dtype))
        else:
            state["variance"] = wrap(np.zeros_like(array))

    def _update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if param.dtype.kind == "c":
            raise RuntimeError("Adafactor does not support complex parameters")
        counter = state["step"]
        counter._array = counter._array + np.float32(1)
        step, rate = float(counter._array), number(group["lr"])
        grad = -grad if group["maximize"] else grad
        least = np.finfo(param.dtype).eps if group["eps"][0] is None else group["eps"][0]
        fresh = step ** group["beta2_decay"]  # 1 − β₂
        size = param.size**0.5
        alpha = max(group["eps"][1], float(np.linalg.norm(param)) / size) * min(rate, 1 / step**0.5)
        if group["weight_decay"]:
            param *= 1 - rate * group["weight_decay"]
        if grad.ndim > 1:
            row, column = state["row_var"].memory(), state["col_var"].memory()
            row += fresh * (np.mean(grad * grad, axis=-1, keepdims=True) - row)
            column += fresh * (np.mean(grad * grad, axis=-2, keepdims=True) - column)
            variance = row @ column
            variance /= np.maximum(row.mean(axis=-2, keepdims=True), least)
        else:
            kept = state["variance"].memory()
            kept += fresh * (grad * grad - kept)
            variance = kept
        update = grad / np.sqrt(np.maximum(variance, least * least))
        clip = max(1.0, float(np.linalg.norm(update)) / (size * group["d"]))
        param -= (alpha / clip * update).astype(param.dtype, copy=False)


__all__ = ["Adafactor"]
