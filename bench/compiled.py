"""`torch.compile` of clew against PyTorch, eager and compiled, and against JAX: each as its own users write it.

PyTorch's compiler takes the model (or, without one, the function of the loss), as its tutorials do; JAX's the whole step. clew's
takes the whole step. PyTorch's column is the faster of its two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import clew
from harness import Contestant, Duel, check_same, compiled, duel
from labs import lab2, lab4
from large import character_gpt, digits_784, lstm, small_cnn
from nets import digits_net, regression_net
from report import Findings, faster

Make = Callable[[Any], Contestant]


# ---- JAX ---------------------------------------------------------------------------------------------------------------
def jax_lab2() -> Callable[[], Any]:
    import jax

    @jax.jit
    def update(w: Any) -> Any:
        loss, slope = jax.value_and_grad(lambda w: (w * 3 - 10) ** 2)(w)
        return w - 0.1 * slope, loss, slope

    w = jax.numpy.float32(2.0)

    def step() -> Any:
        nonlocal w
        w, loss, slope = update(w)
        return float(w), float(loss), float(slope)

    return step


def jax_lab4() -> Callable[[], Any]:
    import jax

    x, y = jax.numpy.array([1.0, 2.0, 3.0, 4.0]), jax.numpy.array([3.0, 5.0, 7.0, 9.0])

    @jax.jit
    def update(w: Any, b: Any) -> Any:
        of_w, of_b = jax.grad(lambda w, b: ((w * x + b - y) ** 2).mean(), argnums=(0, 1))(w, b)
        return w - 0.05 * of_w, b - 0.05 * of_b

    w, b = jax.numpy.float32(0.0), jax.numpy.float32(0.0)

    def step() -> Any:
        nonlocal w, b
        w, b = update(w, b)
        return w.block_until_ready()

    return step


def jax_net(sizes: tuple[int, int, int], batch: int, adam: bool, activation: str) -> Callable[[], Any]:
    """Two layers; mean squared error and SGD, or cross-entropy and Adam."""
    import jax
    from jax import numpy as jnp

    numbers = np.random.default_rng(0)
    draw = lambda *shape: jnp.array(numbers.standard_normal(shape, dtype=np.float32) * 0.1)  # noqa: E731
    params = [draw(sizes[0], sizes[1]), draw(sizes[1]), draw(sizes[1], sizes[2]), draw(sizes[2])]
    x = draw(batch, sizes[0])
    y = jnp.array(numbers.integers(0, sizes[2], batch)) if adam else draw(batch, sizes[2])
    bend = {"Tanh": jnp.tanh, "ReLU": jax.nn.relu}[activation]

    def loss_of(params: Any) -> Any:
        out = bend(x @ params[0] + params[1]) @ params[2] + params[3]
        if adam:
            return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean()
        return ((out - y) ** 2).mean()

    @jax.jit
    def update(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params)
        if not adam:
            return [p - 0.01 * g for p, g in zip(params, grads)], state, loss
        count, means, squares = state
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads)]
        rate = 1e-3 / (1 - 0.9**count)
        roots = [jnp.sqrt(v / (1 - 0.999**count)) + 1e-8 for v in squares]
        params = [p - rate * m / r for p, m, r in zip(params, means, roots)]
        return params, (count, means, squares), loss

    state = (jnp.float32(0), [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params])

    def step() -> Any:
        nonlocal params, state
        params, state, loss = update(params, state)
        return loss.block_until_ready()

    return step


# ---- PyTorch -------------------------------------------------------------------------------------------------------------
class Compiling:
    """PyTorch, whose modules compile themselves when they are made into a net."""

    def __init__(self) -> None:
        self.nn = Namespace(torch.nn, Sequential=lambda *parts: torch.compile(torch.nn.Sequential(*parts)))

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class Namespace:
    """A module with some names replaced."""

    def __init__(self, module: Any, **names: Any) -> None:
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


ROWS: dict[str, tuple[Make, float, bool, Callable[[], Any] | None, float]] = {
    # the work, the bar against PyTorch, whether PyTorch's compiler is tried, JAX's step, the bar against JAX
    "lab-2 step": (lab2, 80, False, jax_lab2, 20),
    "lab-4 step": (lab4, 100, False, jax_lab4, 20),
    "4-16-2 net, batch 4, SGD step": (
        lambda t: regression_net(t, "Tanh"), 60, True, lambda: jax_net((4, 16, 2), 4, False, "Tanh"), 10,
    ),
    "64-128-10 net, batch 64, Adam step": (digits_net, 3, True, lambda: jax_net((64, 128, 10), 64, True, "ReLU"), 1.3),
    "784-512-10 net, batch 128, Adam step": (
        digits_784, 1.4, True, lambda: jax_net((784, 512, 10), 128, True, "ReLU"), 1.1,
    ),
    "GPT 4 layers 128 wide, 64 context, batch 12, AdamW step": (lambda t: character_gpt(t, 4, 128, 64, 12), 1.35, True, None, 1.2),
    "GPT 2 layers 32 wide, 32 context, batch 8, AdamW step": (lambda t: character_gpt(t, 2, 32, 32, 8), 5, True, None, 2),
    "LSTM 64 wide, 32 steps, batch 32, Adam step": (lstm, 1.5, False, None, 1.2),
    "small CNN on 1×28×28, batch 64, SGD step": (small_cnn, 1.2, True, None, 1.2),
}  # fmt: skip


def run_compiled(names: str = "") -> Findings:
    """All rows, or those whose name contains `names`."""
    found = Findings()
    for work, (make, bar, compiles, jax_step, jax_bar) in ROWS.items():
        if names not in work:
            continue
        ours, theirs = make(clew), make(torch)
        check_same(ours, theirs, steps=3)
        fast = compiled(ours)
        found.rows.append(faster(f"{work}: compiled, PyTorch eager", measured(fast, theirs.step), bar))
        if compiles:
            peer = make(Compiling())
            for _ in range(3):
                peer.step()
            found.rows.append(faster(f"{work}: compiled, PyTorch compiled", measured(fast, peer.step), bar))
        if jax_step is not None:
            found.rows.append(faster(f"{work}: compiled, jax.jit", measured(fast, jax_step()), jax_bar))
    return found


def measured(ours: Callable[[], Any], theirs: Callable[[], Any]) -> Duel:
    """Rounds that are long enough for the slower one."""
    return duel(ours, theirs, 30, 0.03)
