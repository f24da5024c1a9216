"""An operation with a derivative of one's own, and the check that the derivative is right.

    python examples/custom_function.py        clew run examples/custom_function.py

`Softsign` writes forward and backward by hand, `Clip` keeps the gradient where it is told to. `gradcheck` compares both
derivatives with finite differences; a third, wrong on purpose, shows what it says then.
"""

import argparse
from pathlib import Path

import torch


class Softsign(torch.autograd.Function):
    """x / (1 + |x|), whose derivative is 1 / (1 + |x|)²."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x / (1 + x.abs())

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (1 + x.abs()) ** 2


class Clip(torch.autograd.Function):
    """min(max(x, low), high), with a tenth of the gradient outside, so that a clipped unit can come back."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.inside = (x >= low) & (x <= high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, gradient):
        leak = torch.where(ctx.inside, 1.0, 0.1).to(gradient.dtype)
        return gradient * leak, None, None


class Wrong(torch.autograd.Function):
    """x³, with the derivative 2x² by mistake."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 2 * x**2


def draw(path, x, y, slope):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(x.tolist(), y.tolist(), label="softsign")
    axes.plot(x.tolist(), slope.tolist(), label="its derivative, by backward()")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    x = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    print("gradcheck of Softsign:", torch.autograd.gradcheck(Softsign.apply, (x + 0.1,)))
    print("gradgradcheck of Softsign:", torch.autograd.gradgradcheck(Softsign.apply, (x + 0.1,)))
    try:
        torch.autograd.gradcheck(Wrong.apply, (x,))
    except Exception as error:
        print("gradcheck of Wrong:", type(error).__name__)

    weights = torch.randn(2, requires_grad=True)
    inputs = torch.linspace(-2, 2, 40)
    targets = torch.clamp(1.5 * inputs + 0.5, -1, 1)
    optimizer = torch.optim.SGD([weights], lr=0.1)
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        loss = ((Clip.apply(weights[0] * inputs + weights[1], -1.0, 1.0) - targets) ** 2).mean()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == options.steps:
            print(
                f"step {step:4d}  loss {loss.item():.6f}  line {weights[0].item():.4f} x + {weights[1].item():.4f}"
            )

    x = torch.linspace(-4, 4, 200, requires_grad=True)
    y = Softsign.apply(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    try:
        draw(options.out / "custom_function.png", x.detach(), y.detach(), slope)
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


if __name__ == "__main__":
    main()
