"""A net that obeys an equation: the damped oscillator u″ + 2·d·u′ + k²·u = 0 with u(0) = 1, u′(0) = 0.

    python examples/physics.py        clew run examples/physics.py

No solution is shown to the net. The loss is how far it is from the equation at random times (its derivatives come from
autograd, with create_graph=True) and from the two conditions at 0. (Raissi, Perdikaris and Karniadakis 2019.)
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn as nn

DAMPING, FREQUENCY = 0.5, 4.0
END = 2.0


class Curve(nn.Module):
    """u(t)."""

    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, t):
        return self.layers(t)


def derivative(u, t):
    return torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]


def residual(net, t):
    """u″ + 2·d·u′ + k²·u at times t."""
    t = t.requires_grad_()
    u = net(t)
    first = derivative(u, t)
    return derivative(first, t) + 2 * DAMPING * first + FREQUENCY**2 * u


def exact(t):
    w = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * t) * (torch.cos(w * t) + DAMPING / w * torch.sin(w * t))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    net = Curve()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(options.steps, 1))
    grid = torch.linspace(0, END, 101)[:, None]
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        inside = (residual(net, torch.rand(64, 1) * END) ** 2).mean()
        start = torch.zeros(1, 1, requires_grad=True)
        u = net(start)
        conditions = (u - 1) ** 2 + derivative(u, start) ** 2
        loss = inside / FREQUENCY**2 + 10 * conditions.sum()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == options.steps:
            with torch.no_grad():
                error = (net(grid) - exact(grid)).abs().max().item()
            print(f"step {step:5d}  loss {loss.item():.5f}  largest error {error:.4f}")

    try:
        draw(options.out / "physics.png", grid, net(grid).detach(), exact(grid))
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, t, u, truth):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(t.flatten().tolist(), truth.flatten().tolist(), label="exact", linewidth=4, alpha=0.3)
    axes.plot(t.flatten().tolist(), u.flatten().tolist(), label="net")
    axes.set(xlabel="t", ylabel="u", title="Damped oscillator")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
