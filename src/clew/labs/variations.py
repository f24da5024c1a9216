"""The exercises, varied: a small change of the program, run, and its answer checked.

A change is text of the program and what stands in its place; the answer is computed from what the changed program leaves
in its variables and prints.
"""

from __future__ import annotations

import gc
import io
import math
import re
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from clew.labs import Program

__all__ = ["VARIATIONS", "Tried", "Variation", "changed", "try_out"]

Space = Mapping[str, Any]
FIT, SETTLED, LOST = 0.001, 0.01, 41.0  # losses: learned; hardly moving; that of the start, where w = b = 0


@dataclass(frozen=True)
class Variation:
    """A change to try, and what must come of it."""

    name: str
    change: tuple[tuple[str, str], ...]
    expected: str
    lesson: str
    answer: Callable[[Space, str], str]
    least: int = 0  # bytes that what was stored keeps alive, at least and at most; 0: not measured
    most: int = 0


@dataclass(frozen=True)
class Tried:
    """What came of a variation."""

    variation: Variation
    actual: str
    held: int = 0  # bytes

    @property
    def right(self) -> bool:
        wanted = self.variation
        within = not wanted.most or wanted.least <= self.held <= wanted.most
        return self.actual == wanted.expected and within


def changed(program: Program, variation: Variation) -> str:
    """The program's text with the change. ValueError where it does not stand there exactly once."""
    text = program.path.read_text(encoding="utf-8")
    for old, new in variation.change:
        if text.count(old) != 1:
            raise ValueError(
                f"{program.name}, {variation.name}: {old!r} stands {text.count(old)} times in the program"
            )
        text = text.replace(old, new)
    return text


def try_out(program: Program, variation: Variation) -> Tried:
    """Run the changed program, with whatever `import torch` finds, and take its answer."""
    code = compile(changed(program, variation), str(program.path), "exec", dont_inherit=True)
    space: dict[str, Any] = {"__name__": "__main__", "__file__": str(program.path)}
    output = io.StringIO()
    measured = bool(variation.most) and not tracemalloc.is_tracing()
    if measured:
        tracemalloc.start()
    try:
        with redirect_stdout(output):
            exec(code, space)
        answer = variation.answer(space, output.getvalue())
        return Tried(variation, answer, _held(space) if measured else 0)
    finally:
        if measured:
            tracemalloc.stop()


def _held(space: dict[str, Any]) -> int:
    """The bytes that come free when the stored losses go, once nothing else holds on to their graphs."""
    stored = space["losses"]
    space.clear()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    stored.clear()
    gc.collect()
    return before - tracemalloc.get_traced_memory()[0]


# ---- answers -----------------------------------------------------------------------------------------------------------
def _line(space: Space, output: str) -> str:
    return f"w={space['w'].item():.2f} b={space['b'].item():.2f}"


def _swing(space: Space, output: str) -> str:
    """The last three losses that were printed, and what they tell."""
    losses = [float(loss) for loss in re.findall(r"loss=(\S+)", output)[-3:]]
    word = "settles" if max(losses) <= SETTLED else "swings"
    return f"{word}: loss {', '.join(f'{loss:.2f}' for loss in losses)} at epochs 150, 175, 200"


def _descent(space: Space, output: str) -> str:
    losses = space["losses"]
    last = losses[200]
    if not math.isfinite(last) or last > LOST:
        word = "diverges"
    else:
        word = "learned" if last < FIT else "not there yet"
    return f"{word}: loss {losses[0]:.3g}, {losses[1]:.3g} after 1 epoch, {last:.2g} after 200"


def _kept(space: Space, output: str) -> str:
    return f"{len(space['losses'])} stored, {len(space['reached'])} operations kept alive"


# ---- changes -----------------------------------------------------------------------------------------------------------
RULE = "y_true = 3 * x - 2"
UPDATED = "    if epoch % 25 == 0:"
RATE = "(0.005, (0, 1, 2, 10, 100, 200)),"
STORED = "losses.append(loss)"
WALK = ("[loss.grad_fn for loss in losses]", '[getattr(loss, "grad_fn", None) for loss in losses]')
W, B = "w = torch.tensor(0.0,", "b = torch.tensor(0.0,"
MUCH, LITTLE = 100_000, 50_000  # bytes: graphs of 200 epochs, and 200 numbers or tensors


def _rate(lr: str) -> tuple[tuple[str, str], ...]:
    return ((RATE, f"({lr}, (0, 1, 2, 10, 100, 200)),"),)


def _stored(what: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return ((STORED, what), WALK, *more)


VARIATIONS: dict[str, tuple[Variation, ...]] = {
    "exercise1": (
        Variation("as it is", (), "w=3.00 b=-1.99", "w goes to 3 and b to -2; b is the slower of the two.", _line),
        Variation("falling", ((RULE, "y_true = 5 - x"),), "w=-1.00 b=4.99", "A falling line, w to -1 and b to 5: nothing else in the program changes.", _line),
        Variation("noise", ((RULE, RULE + " + torch.tensor([0.1, -0.1, 0.1, -0.1])"),), "w=2.96 b=-1.89", "No line goes through all points now. The best one by least squares is w = 2.96, b = -1.90.", _line),
        Variation("few epochs", (("range(401)", "range(51)"),), "w=2.57 b=-0.75", "Stopped early, it is on its way.", _line),
        Variation("another start", ((W, "w = torch.tensor(10.0,"), (B, "b = torch.tensor(10.0,")), "w=2.99 b=-1.98", "The loss has one lowest point: from wherever one starts, one comes to it.", _line),
        Variation("larger x", (("[1.0, 2.0, 3.0, 4.0]", "[10.0, 20.0, 30.0, 40.0]"),), "w=nan b=nan", "Ten times the inputs make gradients a hundred times as large: the same learning rate is too high. This is why inputs are scaled.", _line),
    ),
    "exercise2": (
        Variation("as it is", (), "swings: loss 0.70, 51.69, 2.28 at epochs 150, 175, 200", "The sum of all earlier gradients acts like a flywheel that nothing brakes.", _swing),
        Variation("cleared", ((UPDATED, "    w.grad.zero_()\n    b.grad.zero_()\n" + UPDATED),), "settles: loss 0.00, 0.00, 0.00 at epochs 150, 175, 200", "Two lines, and it is lab 4 again.", _swing),
        Variation("set to None", ((UPDATED, "    w.grad = b.grad = None\n" + UPDATED),), "settles: loss 0.00, 0.00, 0.00 at epochs 150, 175, 200", "No gradient is as good as one of zero: what optimizers do in `zero_grad()`.", _swing),
        Variation("one cleared", ((UPDATED, "    w.grad.zero_()\n" + UPDATED),), "settles: loss 0.00, 0.00, 0.00 at epochs 150, 175, 200", "b alone is not cleared, and here it does no harm: a loss that falls is no proof that the loop is right.", _swing),
        Variation("a smaller step", (("w -= 0.05 *", "w -= 0.005 *"), ("b -= 0.05 *", "b -= 0.005 *")), "swings: loss 37.22, 27.47, 0.02 at epochs 150, 175, 200", "A smaller learning rate makes the swings slower, and not smaller: the mistake is elsewhere.", _swing),
    ),
    "exercise3": (
        Variation("lr=0.5", _rate("0.5"), "diverges: loss 41, 2.21e+03 after 1 epoch, nan after 200", "Each step ends farther from the goal than it began.", _descent),
        Variation("lr=0.05", _rate("0.05"), "learned: loss 41, 1.13 after 1 epoch, 3.3e-05 after 200", "Lab 4's.", _descent),
        Variation("lr=0.005", (), "not there yet: loss 41, 34.4 after 1 epoch, 0.0075 after 200", "Stable, and slow.", _descent),
        Variation("lr=0.0005", _rate("0.0005"), "not there yet: loss 41, 40.3 after 1 epoch, 1.4 after 200", "Ten times slower again.", _descent),
        Variation("lr=0.119", _rate("0.119"), "not there yet: loss 41, 40 after 1 epoch, 0.25 after 200", "Just below the limit, 2 / 16.7 = 0.1198, where 16.7 is the loss's largest curvature: it swings from side to side and comes nearer.", _descent),
        Variation("lr=0.121", _rate("0.121"), "diverges: loss 41, 42.7 after 1 epoch, 1.5e+05 after 200", "Just above it.", _descent),
    ),
    "exercise4": (
        Variation("loss", _stored(STORED), "200 stored, 1002 operations kept alive", "Five operations for each epoch, and w and b.", _kept, MUCH, 10 * MUCH),
        Variation("loss.item()", _stored("losses.append(loss.item())"), "200 stored, 0 operations kept alive", "Python numbers: nothing hangs on them.", _kept, 0, LITTLE),
        Variation("loss.detach()", _stored("losses.append(loss.detach())"), "200 stored, 0 operations kept alive", "A tensor of its own for each, and no graph.", _kept, 0, 2 * LITTLE),
        Variation("running total", _stored("losses[:] = [sum(losses, loss)]"), "1 stored, 1201 operations kept alive", "One tensor, and behind it the graphs of all epochs in a chain.", _kept, MUCH, 10 * MUCH),
        Variation("retained", _stored(STORED, ("loss.backward()", "loss.backward(retain_graph=True)")), "200 stored, 1002 operations kept alive", "The same operations, each with the values that it saved.", _kept, MUCH, 10 * MUCH),
    ),
}  # fmt: skip
