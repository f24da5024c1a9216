"""Optimizers' updates inside a kernel: what each needs from its optimizer at every step, and the formula as loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from clew.capture.loops import CannotLower, Place, Val, literal
from clew.capture.lower import Lowering
from clew.core.variable import Variable
from clew.optim.adam import Adam, AdamW
from clew.optim.optimizer import Optimizer
from clew.optim.sgd import SGD

Pair = tuple[Any, Val]  # a parameter and its gradient


class Update:
    """One parameter group's update. `numbers(rates)`: what changes from step to step, for the kernel's arguments."""

    kind: type[Optimizer]
    count = 1  # numbers

    def __init__(self, optimizer: Any, group: dict[str, Any], pairs: Sequence[Pair]) -> None:
        self.optimizer = optimizer
        self.group = group
        self.pairs = list(pairs)
        self.options = self.fixed()
        if isinstance(group["lr"], Variable) or group["maximize"] or group["differentiable"]:
            raise CannotLower("updates with options that are rarely used")

    def fixed(self) -> Any:
        """Options that stand in the kernel as they are."""
        raise NotImplementedError

    def arrays(self) -> list[np.ndarray]:
        """The memory of the optimizer's state."""
        return []

    def current(self) -> bool:
        """Whether options and state are still what the kernel was made for."""
        return bool(self.fixed() == self.options)

    def numbers(self) -> tuple[float, ...]:
        """The kernel's arguments for the coming step."""
        raise NotImplementedError

    def asked(self, name: str, thing: Callable[[Any, str], str]) -> tuple[str, str]:
        """What is asked before each step, and the numbers for it, as text."""
        return f"{name}.current()", f"*{name}.numbers()"

    def advance(self) -> None:
        """Count the step."""

    def lower(self, low: Lowering, place: Any, numbers: Sequence[str], states: list[Place]) -> None:
        """Write the formula. place: where a parameter lies; states: where `arrays` lie."""
        raise NotImplementedError


class PlainSGD(Update):
    """θ ← θ − lr · (g + weight_decay · θ)."""

    def asked(self, name: str, thing: Callable[[Any, str], str]) -> tuple[str, str]:
        group = thing(self.group, "group")
        looked_up = thing(itemgetter("momentum", "weight_decay"), "options_of")
        return f"{looked_up}({group}) == {self.options!r}", f"{group}['lr']"

    kind = SGD

    def fixed(self) -> Any:
        group = self.group
        return group["momentum"], group["weight_decay"]

    def numbers(self) -> tuple[float, ...]:
        return (self.group["lr"],)

    def lower(self, low: Lowering, place: Any, numbers: Sequence[str], states: list[Place]) -> None:
        decay = self.options[1]
        for param, grad in self.pairs:
            p = place(param)
            low.kernel.cut()
            if decay:
                grad = _decayed(low, grad, p, decay)
            _subtract(low, p, grad, numbers[0])


class MomentumSGD(Update):
    """b ← μ b + (1 − dampening) g; θ ← θ − lr · b, or lr · (g + μ b) with Nesterov's."""

    kind = SGD

    def fixed(self) -> Any:
        group = self.group
        return group["momentum"], group["weight_decay"], group["dampening"], group["nesterov"]

    def arrays(self) -> list[np.ndarray]:
        state = self.optimizer.state
        held = [state[p].get("momentum_buffer") for p, _ in self.pairs]
        if any(h is None for h in held):
            raise CannotLower("has not begun its momentum")
        return [h.memory() for h in held]

    def numbers(self) -> tuple[float, ...]:
        return (self.group["lr"],)

    def lower(self, low: Lowering, place: Any, numbers: Sequence[str], states: list[Place]) -> None:
        momentum, decay, dampening, nesterov = self.options
        for (param, grad), at in zip(self.pairs, states, strict=True):
            p = place(param)
            low.kernel.cut()
            dtype = p.dtype
            if decay:
                grad = _decayed(low, grad, p, decay)
            held = Val(p.shape, dtype, at)
            mu, keep = literal(momentum, dtype), literal(1 - dampening, dtype)
            buffer = low.kernel.map(f"{{0}} * {mu} + {{1}} * {keep}", [held, grad], dtype)
            low.kernel.write(at, p.shape, "{0}", [buffer], dtype)
            step = low.kernel.map(f"{{0}} + {mu} * {{1}}", [grad, buffer], dtype) if nesterov else buffer
            _subtract(low, p, step, numbers[0])


class FusedAdam(Update):
    """Adam and AdamW; see `clew.optim.adam` for the formula and the order of its roundings."""

    kind = Adam
    count = 7

    def fixed(self) -> Any:
        group = self.group
        return group["amsgrad"], group["weight_decay"] != 0, group["decoupled_weight_decay"]

    def bundles(self) -> Any:
        found = self.optimizer._bundles.get(id(self.group))
        if found is None:
            raise CannotLower("has not begun its running means")
        return found[1]

    def arrays(self) -> list[np.ndarray]:
        self.made_for = self.bundles()
        if len({b.count for b in self.made_for}) != 1:
            raise CannotLower("updates parameters that have made different numbers of steps")
        return [part for b in self.made_for for parts in b.parts for _, part in parts]

    def current(self) -> bool:
        return (
            self.fixed() == self.options
            and self.bundles() is self.made_for
            and all(b.current(self.optimizer.state) for b in self.made_for)
        )

    def numbers(self) -> tuple[float, ...]:
        group = self.group
        (beta1, beta2), rate = group["betas"], group["lr"]
        step = self.made_for[0].count + 1.0
        return (
            1 - beta1, 1 - beta2, beta2, (1 - beta2**step) ** 0.5, group["eps"], -rate / (1 - beta1**step),
            1 - rate * group["weight_decay"] if self.options[2] else group["weight_decay"],
        )  # fmt: skip

    def advance(self) -> None:
        for bundle in self.made_for:
            bundle.advance()

    def lower(self, low: Lowering, place: Any, numbers: Sequence[str], states: list[Place]) -> None:
        _, decays, decoupled = self.options
        grads = {id(p): g for p, g in self.pairs}
        places = iter(states)
        for bundle in self.made_for:
            for param, parts in zip(bundle.params, bundle.parts, strict=True):
                own = [next(places) for _ in parts]
                self._one(low, place(param), grads[id(param)], own, numbers, decays, decoupled)

    def _one(
        self,
        low: Lowering,
        p: Val,
        grad: Val,
        own: list[Place],
        numbers: Sequence[str],
        decays: bool,
        decoupled: bool,
    ) -> None:
        kernel, dtype = low.kernel, p.dtype
        kernel.cut()
        code = "f4" if dtype.itemsize == 4 else "f8"
        fresh1, fresh2, stay2, root, eps, factor, decay = [f"{code}({n})" for n in numbers]
        value = p
        if decays and decoupled:
            value = kernel.map(f"{{0}} * {decay}", [p], dtype)
        elif decays:
            grad = kernel.map(f"{{0}} + {decay} * {{1}}", [grad, p], dtype)
        mean, square = (Val(p.shape, dtype, place) for place in own[:2])
        mean = kernel.map(f"{{0}} + ({{1}} - {{0}}) * {fresh1}", [mean, grad], dtype)
        square = kernel.map(f"{{0}} * {stay2} + ({{1}} * {fresh2}) * {{1}}", [square, grad], dtype)
        kernel.write(own[0], p.shape, "{0}", [mean], dtype)
        kernel.write(own[1], p.shape, "{0}", [square], dtype)
        if len(own) == 3:
            square = kernel.map("max({0}, {1})", [Val(p.shape, dtype, own[2]), square], dtype)
            kernel.write(own[2], p.shape, "{0}", [square], dtype)
        step = kernel.map(f"{{0}} * {factor} / (math.sqrt({{1}}) / {root} + {eps})", [mean, square], dtype)
        assert p.place is not None
        kernel.write(p.place, p.shape, "{0} + {1}", [value, step], dtype)


def _decayed(low: Lowering, grad: Val, p: Val, decay: float) -> Val:
    return low.kernel.map(f"{{0}} + {literal(decay, p.dtype)} * {{1}}", [grad, p], p.dtype)


def _subtract(low: Lowering, p: Val, step: Val, rate: str) -> None:
    code = "f4" if p.dtype.itemsize == 4 else "f8"
    assert p.place is not None
    low.kernel.write(p.place, p.shape, f"{{0}} - {{1}} * {code}({rate})", [p, step], p.dtype)


def update_for(optimizer: Any, group: dict[str, Any], pairs: Sequence[Pair]) -> Update:
    """The update of a group; CannotLower for optimizers that have none here."""
    kind = type(optimizer)
    hooks = optimizer._step_pre_hooks or optimizer._step_post_hooks
    step = vars(optimizer).get("step")
    if hooks or (step is not None and not getattr(step, "_noticed", False)):
        raise CannotLower("updates with an optimizer that has hooks")
    if kind is SGD:
        return (MomentumSGD if group["momentum"] else PlainSGD)(optimizer, group, pairs)
    if kind in (Adam, AdamW):
        return FusedAdam(optimizer, group, pairs)
    raise CannotLower(f"updates with {kind.__name__}")


__all__ = ["Update", "update_for"]
