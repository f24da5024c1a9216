"""The labs' steps in other small libraries, as their users write them: micrograd, HIPS autograd, tinygrad.

Each is taken where it can be imported. clew's step is eager, as theirs is (tinygrad's is compiled: its `TinyJit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import clew
from harness import compiled, duel
from labs import lab2, lab4
from nets import regression_net
from report import Findings, Row

Step = Callable[[], Any]
X, Y = [1.0, 2.0, 3.0, 4.0], [3.0, 5.0, 7.0, 9.0]


# ---- micrograd: numbers, one by one -----------------------------------------------------------------------------------------
def micrograd_lab2() -> Step:
    from micrograd.engine import Value

    w = Value(2.0)

    def step() -> Any:
        loss = (w * 3 - 10) ** 2
        loss.backward()
        w.data -= 0.1 * w.grad
        shown = w.data, loss.data, w.grad
        w.grad = 0
        return shown

    return step


def micrograd_lab4() -> Step:
    from micrograd.engine import Value

    w, b = Value(0.0), Value(0.0)

    def step() -> Any:
        loss = sum(((w * x + b - y) ** 2 for x, y in zip(X, Y, strict=True)), Value(0.0)) * 0.25
        loss.backward()
        w.data -= 0.05 * w.grad
        b.data -= 0.05 * b.grad
        w.grad = b.grad = 0
        return w.data

    return step


def micrograd_net() -> Step:
    import numpy as np
    from micrograd.nn import MLP

    numbers = np.random.default_rng(0)
    net = MLP(4, [16, 2])
    x, y = numbers.standard_normal((4, 4)).tolist(), numbers.standard_normal((4, 2)).tolist()

    def step() -> Any:
        loss = sum(
            (p - t) ** 2
            for row, wanted in zip(x, y, strict=True)
            for p, t in zip(net(row), wanted, strict=True)
        )
        loss = loss * (1 / 8)
        net.zero_grad()
        loss.backward()
        for p in net.parameters():
            p.data -= 0.01 * p.grad
        return loss.data

    return step


# ---- HIPS autograd: gradients of NumPy functions -----------------------------------------------------------------------------
def autograd_lab2() -> Step:
    from autograd import value_and_grad

    both = value_and_grad(lambda w: (w * 3 - 10) ** 2)
    w = 2.0

    def step() -> Any:
        nonlocal w
        loss, slope = both(w)
        w -= 0.1 * slope
        return w, loss, slope

    return step


def autograd_lab4() -> Step:
    import autograd.numpy as anp
    from autograd import grad

    x, y = anp.array(X), anp.array(Y)
    slope = grad(lambda w, b: anp.mean((w * x + b - y) ** 2), (0, 1))
    w = b = 0.0

    def step() -> Any:
        nonlocal w, b
        of_w, of_b = slope(w, b)
        w -= 0.05 * of_w
        b -= 0.05 * of_b
        return w

    return step


def autograd_net() -> Step:
    import autograd.numpy as anp
    import numpy as np
    from autograd import grad

    numbers = np.random.default_rng(0)
    params = [numbers.standard_normal(s) * 0.1 for s in ((4, 16), (16,), (16, 2), (2,))]
    x, y = numbers.standard_normal((4, 4)), numbers.standard_normal((4, 2))

    def compute_loss(p: Any) -> Any:
        return anp.mean((anp.dot(anp.tanh(anp.dot(x, p[0]) + p[1]), p[2]) + p[3] - y) ** 2)

    slope = grad(compute_loss)

    def step() -> Any:
        for p, g in zip(params, slope(params), strict=True):
            p -= 0.01 * g
        return params[0]

    return step


# ---- tinygrad --------------------------------------------------------------------------------------------------------------------
def tinygrad_lab4() -> Step:
    from tinygrad import Tensor, TinyJit

    x, y = Tensor(X), Tensor(Y)
    w, b = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    w.realize(), b.realize()

    @TinyJit
    def update() -> Any:
        w.grad = b.grad = None
        ((w * x + b - y) ** 2).mean().backward()
        w.assign(w.detach() - 0.05 * w.grad).realize()
        b.assign(b.detach() - 0.05 * b.grad).realize()

    for _ in range(4):
        update()
    return update


WORKS: dict[str, tuple[Callable[[Any], Any], dict[str, Callable[[], Step]]]] = {
    "lab-2 step": (lab2, {"micrograd": micrograd_lab2, "HIPS autograd": autograd_lab2}),
    "lab-4 step": (
        lab4, {"micrograd": micrograd_lab4, "HIPS autograd": autograd_lab4, "tinygrad": tinygrad_lab4},
    ),
    "4-16-2 net, batch 4, SGD step": (
        lambda t: regression_net(t, "Tanh"), {"micrograd": micrograd_net, "HIPS autograd": autograd_net},
    ),
}  # fmt: skip


def run_peers() -> Findings:
    found = Findings()
    for work, (make, peers) in WORKS.items():
        for name, peer in _present(peers):
            ours = compiled(make(clew)) if name == "tinygrad" else make(clew).step
            result = duel(ours, peer)
            found.rows.append(
                Row(
                    f"{work}{': compiled' if name == 'tinygrad' else ''}, {name}", str(result.clew), str(result.peer),
                    f"{result.ratio:.2f}×", f"{result.ratio_of_minima:.2f}×",
                )
            )  # fmt: skip
    return found


def _present(peers: dict[str, Callable[[], Step]]) -> Iterator[tuple[str, Step]]:
    """Those that can be imported, and run here."""
    for name, make in peers.items():
        with suppress(ImportError, RuntimeError, OSError):
            step = make()
            step()
            yield name, step
