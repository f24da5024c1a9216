"""Averages of a model's weights over its training: stochastic weight averaging (Izmailov et al. 2018), and running means."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clew.autograd.grad_mode import no_grad
from clew.core.variable import Variable
from clew.nn.layers.norm import _BatchNorm
from clew.nn.module import Module
from clew.ops.create import tensor
from clew.optim.schedule import LRScheduler, for_each_group


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _is_inexact(value: Any) -> bool:
    return value.is_floating_point() or value.is_complex()


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """Running means with a decay, of a list of tensors in place."""
    _check_decay(decay)

    def update(averages: Sequence[Any], currents: Sequence[Any], count: Any) -> None:
        with no_grad():
            for average, current in zip(averages, currents, strict=True):
                if _is_inexact(average):
                    average.lerp_(current, 1 - decay)
                else:
                    average.copy_(average * decay + current * (1 - decay))

    return update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """Means of all values so far, of a list of tensors in place."""

    def update(averages: Sequence[Any], currents: Sequence[Any], count: Any) -> None:
        with no_grad():
            for average, current in zip(averages, currents, strict=True):
                if _is_inexact(average):
                    average.lerp_(current, 1 / (int(count) + 1))
                else:
                    average.add_(
                        (current - average).div(int(count) + 1, rounding_mode="trunc").to(average.dtype)
                    )

    return update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """A running mean with a decay: decay · average + (1 − decay) · current."""
    _check_decay(decay)

    def update(average: Any, current: Any, count: Any) -> Any:
        with no_grad():
            return decay * average + (1 - decay) * current

    return update


def get_swa_avg_fn() -> Callable[..., Any]:
    """The mean of all values so far: average + (current − average) / (count + 1)."""

    def update(average: Any, current: Any, count: Any) -> Any:
        with no_grad():
            return average + (current - average) / (count + 1)

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's, over the calls of `update_parameters`.

    avg_fn(average, current, count): the new average of one tensor; multi_avg_fn: of lists of them, in place; the default is
    the mean of all. use_buffers: average buffers, too, instead of taking the model's. `n_averaged`: how many calls there were.
    """

    n_averaged: Any

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., None] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def _pairs(self, model: Module) -> list[tuple[Any, Any]]:
        pairs: list[tuple[Any, Any]] = list(zip(self.module.parameters(), model.parameters(), strict=True))
        if self.use_buffers:
            pairs += list(zip(self.module.buffers(), model.buffers(), strict=True))
        return [(mine.detach(), theirs.detach()) for mine, theirs in pairs]

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the averages."""
        pairs = self._pairs(model)
        if not int(self.n_averaged):
            for average, current in pairs:
                average.copy_(current)
        elif self.avg_fn is not None:
            for average, current in pairs:
                average.copy_(self.avg_fn(average, current, self.n_averaged))
        elif pairs:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update([average for average, _ in pairs], [current for _, current in pairs], self.n_averaged)
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.detach().copy_(theirs.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of a model's batch normalisations anew: the means over one pass through the data.

    loader: batches, or lists and tuples whose first element is the batch.
    """
    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    before = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        value = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(value if device is None or not isinstance(value, Variable) else value.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(before)


class SWALR(LRScheduler):
    """From the present rates to `swa_lr` in `anneal_epochs` steps, along a cosine or a line; then constant."""

    def __init__(
        self, optimizer: Any, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:  # fmt: skip
        for group, rate in zip(
            optimizer.param_groups, for_each_group("swa_lr", optimizer, swa_lr), strict=True
        ):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        """How much of the way is gone."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        """The groups' rates, from their present ones."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal, rate = group["swa_lr"], group["lr"]
            start = goal if before == 1 else (rate - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates


__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip
