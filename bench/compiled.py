"""`torch.compile` of clew against PyTorch, eager and compiled, and against JAX: each as its own users write it.

PyTorch's compiler takes the model (or, without one, the function of the loss), as its tutorials do; JAX's the whole step. clew's
takes the whole step. PyTorch's column is the faster of its two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import clew
import jax_peers as peers
from harness import Contestant, Duel, check_same, compiled, duel
from labs import lab2, lab4
from large import CHAINS, adam_alone, chain, character_gpt, digits_784, lstm, normal, small_cnn
from nets import digits_net, regression_net
from report import Findings, faster

Make = Callable[[Any], Contestant]


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
    "lab-2 step": (lab2, 80, False, peers.jax_lab2, 20),
    "lab-4 step": (lab4, 100, False, peers.jax_lab4, 20),
    "4-16-2 net, batch 4, SGD step": (
        lambda t: regression_net(t, "Tanh"), 60, True, lambda: peers.jax_net((4, 16, 2), 4, False, "Tanh"), 10,
    ),
    "64-128-10 net, batch 64, Adam step": (
        digits_net, 3, True, lambda: peers.jax_net((64, 128, 10), 64, True, "ReLU"), 1.3,
    ),
    "784-512-10 net, batch 128, Adam step": (
        digits_784, 1.4, True, lambda: peers.jax_net((784, 512, 10), 128, True, "ReLU"), 1.1,
    ),
    "GPT 4 layers 128 wide, 64 context, batch 12, AdamW step": (
        lambda t: character_gpt(t, 4, 128, 64, 12), 1.35, True, lambda: peers.jax_gpt(4, 128, 64, 12), 1.2,
    ),
    "GPT 2 layers 32 wide, 32 context, batch 8, AdamW step": (
        lambda t: character_gpt(t, 2, 32, 32, 8), 5, True, lambda: peers.jax_gpt(2, 32, 32, 8), 2,
    ),
    "LSTM 64 wide, 32 steps, batch 32, Adam step": (lstm, 1.5, False, peers.jax_lstm, 1.2),
    "small CNN on 1×28×28, batch 64, SGD step": (small_cnn, 1.2, True, peers.jax_cnn, 1.2),
    "Adam's step on 4M parameters": (
        adam_alone, 2.5, False, lambda: peers.jax_adam(normal(0), normal(1)), 1,
    ),
    **{
        f"4M floats: {name}": (chain(CHAINS[name]), 3, False, lambda f=formula: peers.jax_chain(f, normal(0), normal(1)), 1.2)
        for name, formula in {
            "sigmoid(x·y + y).sum()": lambda np, x, y: (1 / (1 + np.exp(-(x * y + y)))).sum(),
            "(exp(-x²/2)·y).sum()": lambda np, x, y: (np.exp(-(x**2) / 2) * y).sum(),
            "(x·y + 2).sin().mean()": lambda np, x, y: np.sin(x * y + 2).mean(),
            "mse_loss": lambda np, x, y: ((x - y) ** 2).mean(),
            "softmax of 1000": lambda np, x, y: (softmax(np, x.reshape(-1, 1000)) * y.reshape(-1, 1000)).sum(),
        }.items()
    },
}  # fmt: skip


def softmax(np: Any, x: Any) -> Any:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


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
