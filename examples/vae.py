"""A variational autoencoder of the digits: images from two numbers.

    python examples/vae.py        clew run examples/vae.py

The encoder gives mean and variance of two hidden numbers, a sample of them goes through the decoder, and the loss is the
cross-entropy of the pixels plus how far the hidden numbers are from a standard normal. (Kingma and Welling 2014.)
"""

import argparse
import csv
import gzip
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

DATA = Path(__file__).parent / "data" / "digits.csv.gz"


class VAE(nn.Module):
    def __init__(self, hidden=2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2 * hidden))
        self.decoder = nn.Sequential(nn.Linear(hidden, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        sample = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(sample), mean, log_variance


def loss_of(x, logits, mean, log_variance):
    pixels = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (pixels + divergence) / len(x)


def load_digits(path):
    with gzip.open(path, "rt") as file:
        rows = [[int(value) for value in row] for row in csv.reader(file)]
    return torch.tensor(rows)[:, :64].float() / 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="passes over the images")
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    images = load_digits(DATA)
    loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True)
    model = VAE()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(1, options.steps + 1):
        total = 0.0
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = loss_of(batch, *model(batch))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        if epoch % 5 == 0 or epoch == options.steps:
            print(f"epoch {epoch:3d}  loss {total / len(images):.4f}")

    model.eval()
    with torch.no_grad():
        steps = torch.linspace(-2, 2, 8)
        grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(-1, 2)
        drawn = torch.sigmoid(model.decoder(grid))
    print(f"mean brightness of {len(drawn)} drawn digits: {drawn.mean().item():.4f}")
    try:
        draw(options.out / "vae.png", drawn)
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, digits):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = digits.reshape(8, 8, 8, 8).permute(0, 2, 1, 3).reshape(64, 64)
    figure, axes = plt.subplots(figsize=(5, 5))
    axes.imshow(sheet.tolist(), cmap="gray_r")
    axes.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
