"""Curvature of a loss without ever forming its Hessian.

    python examples/hessian_vector.py        clew run examples/hessian_vector.py

A Hessian-vector product is the gradient of (gradient · v): two backward passes. Power iteration with it finds the
largest eigenvalue λ of a small net's Hessian; gradient descent is stable for learning rates up to 2 / λ, which is tried.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn


def hessian_vector_product(loss, parameters, vector):
    """H·v for every parameter (Pearlmutter 1994)."""
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    along = sum((g * v).sum() for g, v in zip(gradients, vector))
    return torch.autograd.grad(along, parameters)


def normalized(vector):
    length = torch.sqrt(sum((v**2).sum() for v in vector))
    return [v / length for v in vector]


def largest_eigenvalue(loss_of, parameters, rounds):
    """Power iteration: v ← H·v / |H·v|; the Rayleigh quotient after each round."""
    vector = normalized([torch.randn_like(p) for p in parameters])
    quotients = []
    for _ in range(rounds):
        product = hessian_vector_product(loss_of(), parameters, vector)
        quotients.append(sum((v * p).sum() for v, p in zip(vector, product)).item())
        vector = normalized(product)
    return quotients


def descend(net, loss_of, rate, steps):
    """Plain gradient descent; the loss at the end."""
    for _ in range(steps):
        gradients = torch.autograd.grad(loss_of(), list(net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients):
                parameter -= rate * gradient
    return loss_of().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="rounds of power iteration")
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    x = torch.linspace(-1, 1, 64, dtype=torch.float64)[:, None]
    y = torch.sin(3 * x)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    start = {name: value.clone() for name, value in net.state_dict().items()}

    def loss_of():
        return ((net(x) - y) ** 2).mean()

    descend(net, loss_of, 0.1, 200)
    minimum = {name: value.clone() for name, value in net.state_dict().items()}
    quotients = largest_eigenvalue(loss_of, list(net.parameters()), options.steps)
    for i in sorted({0, 1, 2, 4, 9, len(quotients) - 1}):
        if i < len(quotients):
            print(f"round {i + 1:3d}  largest eigenvalue {quotients[i]:.6f}")

    limit = 2 / quotients[-1]
    print(f"stable up to a learning rate of {limit:.4f}")
    for factor in (0.5, 0.9, 1.5):
        net.load_state_dict(minimum)
        print(
            f"  {factor} of it: loss {loss_of().item():.6f} -> {descend(net, loss_of, factor * limit, 50):.6f}"
        )
    net.load_state_dict(start)

    flat = torch.nn.utils.parameters_to_vector(net.parameters())
    direct = torch.autograd.functional.hessian(
        lambda w: ((torch.tanh(x @ w[:16][None] + w[16:32]) @ w[32:48][:, None] + w[48] - y) ** 2).mean(),
        flat.detach(),
    )
    vector = torch.randn(len(flat), dtype=torch.float64)
    split = [
        v.view_as(p) for v, p in zip(vector.split([p.numel() for p in net.parameters()]), net.parameters())
    ]
    product = torch.cat(
        [p.reshape(-1) for p in hessian_vector_product(loss_of(), list(net.parameters()), split)]
    )
    print(
        f"whole Hessian {tuple(direct.shape)}; largest difference to H·v {(direct @ vector - product).abs().max().item():.1e}"
    )

    try:
        draw(options.out / "hessian_vector.png", torch.linalg.eigvalsh(direct).tolist())
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, eigenvalues):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(sorted(eigenvalues, reverse=True), "o-", markersize=3)
    axes.set(
        xlabel="number", ylabel="eigenvalue", yscale="symlog", title="Spectrum of the Hessian at the start"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
