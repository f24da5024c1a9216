"""Where the hardware is the cost: nets of thousands to a million parameters, and arithmetic on millions of numbers.

Each row is a training step, or a few lines of arithmetic, as a PyTorch user writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import clew
from harness import Contestant, check_same, duel
from report import Findings, faster

VOCABULARY = 65  # the characters of the Shakespeare that everyone trains on
MILLIONS = 4_000_000
ROUND_SECONDS = 0.06
Work = Callable[[Any], Contestant]


def character_gpt(torch: Any, layers: int, width: int, context: int, batch: int) -> Contestant:
    """A decoder of `layers` blocks with four heads, layer norms first, GELU, no dropout; AdamW."""
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.proj = nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            rows, time, _ = x.shape
            q, k, v = (
                part.view(rows, time, 4, width // 4).transpose(1, 2)
                for part in self.qkv(x).split(width, dim=2)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.proj(y.transpose(1, 2).contiguous().view(rows, time, width))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln1, self.attention, self.ln2 = nn.LayerNorm(width), Attention(), nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.ln1(x))
            return x + self.mlp(self.ln2(x))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.ln = nn.LayerNorm(width)
            self.head = nn.Linear(width, VOCABULARY, bias=False)

        def forward(self, text: Any, targets: Any) -> Any:
            x = self.tokens(text) + self.places(torch.arange(text.shape[1]))
            logits = self.head(self.ln(self.blocks(x)))
            return F.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1))

    torch.manual_seed(0)
    model = GPT()
    text = torch.tensor(np.random.default_rng(0).integers(0, VOCABULARY, (batch, context + 1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    text, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()
    return training(optimizer, lambda: model(text, targets))


def training(optimizer: Any, compute_loss: Callable[[], Any]) -> Contestant:
    """The training step that all of them take."""

    def step() -> Any:
        optimizer.zero_grad()
        loss = compute_loss()
        loss.backward()
        optimizer.step()
        return loss

    return Contestant(step, lambda: step().item())


def digits_784(torch: Any) -> Contestant:
    """784-512-10, 128 images, cross-entropy, Adam."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    criterion = nn.CrossEntropyLoss()
    images, labels = pictures(torch, (128, 784))
    return training(torch.optim.Adam(model.parameters(), lr=1e-3), lambda: criterion(model(images), labels))


def pictures(torch: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Grey images between 0 and 1 and their classes."""
    numbers = np.random.default_rng(0)
    return torch.tensor(numbers.random(shape, dtype=np.float32)), torch.tensor(
        numbers.integers(0, 10, shape[0])
    )


def lstm(torch: Any) -> Contestant:
    """An LSTM 64 wide over 32 steps of 32 sequences, a linear head on what it ends with, Adam."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.LSTM(64, 64, batch_first=True)
    head = nn.Linear(64, 10)
    criterion = nn.CrossEntropyLoss()
    sequences, labels = pictures(torch, (32, 32, 64))

    def compute_loss() -> Any:
        output, _ = model(sequences)
        return criterion(head(output[:, -1]), labels)

    return training(torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-3), compute_loss)


def small_cnn(torch: Any) -> Contestant:
    """Two convolutions of 3 × 3 with pooling and a linear layer, 64 images of 28 × 28, SGD with momentum."""
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    images, labels = pictures(torch, (64, 1, 28, 28))
    return training(
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), lambda: criterion(model(images), labels)
    )


def adam_alone(torch: Any) -> Contestant:
    """Adam's step for one parameter of four million numbers."""
    parameter = torch.nn.Parameter(torch.tensor(normal(0)))
    parameter.grad = torch.tensor(normal(1))
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    return Contestant(optimizer.step, lambda: parameter[:1000].sum().item())


def normal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(MILLIONS, dtype=np.float32)


def chain(formula: Callable[[Any, Any, Any], Any]) -> Work:
    """A scalar of two arrays of four million numbers, forward and backward to the first."""

    def work(torch: Any) -> Contestant:
        x, y = torch.tensor(normal(0), requires_grad=True), torch.tensor(normal(1))

        def step() -> Any:
            x.grad = None
            loss = formula(torch, x, y)
            loss.backward()
            return loss

        return Contestant(step, lambda: step().item() + x.grad[:1000].abs().sum().item())

    return work


def rows_of(x: Any) -> Any:
    """Rows of a thousand."""
    return x.view(-1, 1000)


CHAINS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "(x·y + 2).sin().mean()": lambda torch, x, y: (x * y + 2).sin().mean(),
    "sigmoid(x·y + y).sum()": lambda torch, x, y: torch.sigmoid(x * y + y).sum(),
    "(exp(-x²/2)·y).sum()": lambda torch, x, y: (torch.exp(-(x**2) / 2) * y).sum(),
    "(gelu(x)·y).sum()": lambda torch, x, y: (torch.nn.functional.gelu(x) * y).sum(),
    "(silu(x)·y).sum()": lambda torch, x, y: (torch.nn.functional.silu(x) * y).sum(),
    "(tanh(x)·y).sum()": lambda torch, x, y: (torch.tanh(x) * y).sum(),
    "mse_loss": lambda torch, x, y: torch.nn.functional.mse_loss(x, y),
    "smooth_l1_loss": lambda torch, x, y: torch.nn.functional.smooth_l1_loss(x, y),
    "bce_with_logits": lambda torch, x, y: torch.nn.functional.binary_cross_entropy_with_logits(
        x, (y > 0).float()
    ),
    "softmax of 1000": lambda torch, x, y: (torch.softmax(rows_of(x), dim=1) * rows_of(y)).sum(),
    "layer_norm of 1000": lambda torch, x, y: (
        torch.nn.functional.layer_norm(rows_of(x), (1000,)) * rows_of(y)
    ).sum(),
}

ROWS: dict[str, tuple[Work, float]] = {
    "GPT 4 layers 128 wide, 64 context, batch 12, AdamW step": (
        lambda torch: character_gpt(torch, 4, 128, 64, 12), 1.0,
    ),
    "GPT 2 layers 32 wide, 32 context, batch 8, AdamW step": (
        lambda torch: character_gpt(torch, 2, 32, 32, 8), 2.0,
    ),
    "784-512-10 net, batch 128, Adam step": (digits_784, 1.1),
    "LSTM 64 wide, 32 steps, batch 32, Adam step": (lstm, 1.0),
    "small CNN on 1×28×28, batch 64, SGD step": (small_cnn, 1.0),
    "Adam's step on 4M parameters": (adam_alone, 2.5),
    **{f"4M floats: {name}": (chain(formula), 1.5) for name, formula in CHAINS.items()},
}  # fmt: skip


def run_large(names: str = "") -> Findings:
    """All rows, or those whose name contains `names`."""
    found = Findings()
    for work, (make, bar) in ROWS.items():
        if names not in work:
            continue
        ours, theirs = make(clew), make(torch)
        check_same(ours, theirs, steps=3)
        found.rows.append(faster(work, duel(ours.step, theirs.step, 30, ROUND_SECONDS), bar))
    return found
