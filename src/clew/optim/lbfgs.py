"""L-BFGS: Newton's direction from the last gradients, without a matrix (Liu and Nocedal 1989; Nocedal and Wright 2006, 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clew.autograd.grad_mode import enable_grad, no_grad
from clew.ops.join import cat
from clew.optim.adaptive import check_options
from clew.optim.optimizer import Optimizer, number

ENOUGH = 1e-4  # c₁: the loss must fall by this share of what the slope promises
FLAT = 0.9  # c₂: and the slope must shrink to this share
Point = tuple[float, float, Any, float]  # step length, loss, gradient, slope along the direction


class LBFGS(Optimizer):
    """Up to `max_iter` steps along −H·g at each call of `step(closure)`; line_search_fn="strong_wolfe" searches along it.

    One group of parameters only. tolerance_grad, tolerance_change: where to stop; history_size: how many gradients.
    """

    def __init__(
        self, params: Any, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        check_options(options, "lr")
        super().__init__(params, options)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    # ---- all parameters as one vector ------------------------------------------------------------------------------
    def _gradient(self) -> Any:
        parts = [p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1) for p in self._params]
        return cat(parts, 0)

    def _move(self, length: float, direction: Any) -> None:
        at = 0
        for p in self._params:
            p.add_(direction[at : at + p.numel()].view_as(p), alpha=length)
            at += p.numel()

    def _place(self, values: list[Any]) -> None:
        for p, value in zip(self._params, values, strict=True):
            p.copy_(value)

    # ---- stepping --------------------------------------------------------------------------------------------------
    def _step(self, closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        with no_grad():
            return self._minimize(enable_grad()(closure))

    def _minimize(self, closure: Callable[[], Any]) -> Any:
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, evaluations = float(first), 1
        state["func_evals"] += 1
        g = self._gradient()
        if g.abs().max() <= group["tolerance_grad"]:
            return first
        iterations, t = 0, state.get("t")
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            d = self._direction(g, state, group)
            state["d"], state["prev_flat_grad"], before = d, g.clone(), loss
            t = number(group["lr"])
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / float(g.abs().sum())) * t
            state["t"], state["prev_loss"] = t, before
            slope = g.dot(d)
            if slope > -group["tolerance_change"]:
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = [p.clone() for p in self._params]

                def at(length: float, start: Any = start, d: Any = d) -> tuple[float, Any]:
                    self._move(length, d)
                    value = float(closure())
                    gradient = self._gradient()
                    self._place(start)
                    return value, gradient

                loss, g, t, used = strong_wolfe(at, t, d, loss, g, float(slope), group["tolerance_change"])
                self._move(t, d)
                state["t"] = t
                flat = bool(g.abs().max() <= group["tolerance_grad"])
            else:
                self._move(t, d)
                flat = False
                if iterations != group["max_iter"]:
                    loss = float(closure())
                    g = self._gradient()
                    flat = bool(g.abs().max() <= group["tolerance_grad"])
                    used = 1
            evaluations += used
            state["func_evals"] += used
            done = iterations == group["max_iter"] or evaluations >= group["max_eval"] or flat
            if (
                done
                or (d * t).abs().max() <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first

    def _direction(self, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        """−H·g by the two-loop recursion."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        ys = y.dot(s)
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if ys > 1e-10:
            if len(changes) == group["history_size"]:
                for kept in (changes, steps, ro):
                    kept.pop(0)
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y)
        shares: list[Any] = [None] * group["history_size"]
        q = -g
        for i in range(len(changes) - 1, -1, -1):
            shares[i] = steps[i].dot(q) * ro[i]
            q.add_(changes[i], alpha=-float(shares[i]))
        d = q * state["H_diag"]
        for i in range(len(changes)):
            d.add_(steps[i], alpha=float(shares[i] - changes[i].dot(d) * ro[i]))
        state["al"] = shares
        return d


# ---- line search -----------------------------------------------------------------------------------------------------
def between(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The minimum of the cubic through two points with their slopes, within bounds (Nocedal and Wright 2006, 3.59)."""
    (x1, f1, _, g1), (x2, f2, _, g2) = a, b
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        found = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(found, low), high)


def strong_wolfe(
    at: Callable[[float], tuple[float, Any]], t: float, d: Any, f: float, g: Any, slope: float, tolerance: float, most: int = 25
) -> tuple[float, Any, float, int]:  # fmt: skip
    """A step length that fulfils the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

    at(length): loss and gradient there. Gives loss, gradient, length and the number of evaluations.
    """

    def point(length: float) -> Point:
        value, gradient = at(length)
        return length, value, gradient, float(gradient.dot(d))

    begin: Point = (0.0, f, g.clone(), slope)
    before, here, rounds, evaluations = begin, point(t), 0, 1
    bracket: list[Point] | None = None
    done = False
    while rounds < most:
        if here[1] > f + ENOUGH * here[0] * slope or (rounds > 1 and here[1] >= before[1]):
            bracket = [before, here]
        elif abs(here[3]) <= -FLAT * slope:
            bracket, done = [here], True
        elif here[3] >= 0:
            bracket = [before, here]
        if bracket is not None:
            break
        bounds = here[0] + 0.01 * (here[0] - before[0]), here[0] * 10
        before, here = here, point(between(before, here, bounds))
        evaluations += 1
        rounds += 1
    if bracket is None:
        bracket = [begin, here]
    return _zoom(point, bracket, done, f, slope, float(d.abs().max()), tolerance, most - rounds, evaluations)


def _zoom(
    point: Callable[[float], Point], bracket: list[Point], done: bool, f: float, slope: float, largest: float,
    tolerance: float, rounds: int, evaluations: int,
) -> tuple[float, Any, float, int]:  # fmt: skip
    """Narrow a bracket until a point in it fulfils the conditions."""
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    stuck = False
    while not done and rounds > 0:
        ends = bracket[0][0], bracket[1][0]
        if abs(ends[1] - ends[0]) * largest < tolerance:
            break
        t = between(bracket[0], bracket[1])
        margin = 0.1 * (max(ends) - min(ends))
        if min(max(ends) - t, t - min(ends)) < margin:  # too near an end: allowed once
            if stuck or t >= max(ends) or t <= min(ends):
                t = max(ends) - margin if abs(t - max(ends)) < abs(t - min(ends)) else min(ends) + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        here = point(t)
        evaluations += 1
        rounds -= 1
        if here[1] > f + ENOUGH * t * slope or here[1] >= bracket[low][1]:
            bracket[high] = here
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
            continue
        if abs(here[3]) <= -FLAT * slope:
            done = True
        elif here[3] * (bracket[high][0] - bracket[low][0]) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = here
    best = bracket[low if len(bracket) > 1 else 0]
    return best[1], best[2], best[0], evaluations


__all__ = ["LBFGS"]
