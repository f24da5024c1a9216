"""Learns to read handwritten digits: an ordinary PyTorch script.

    python examples/digits.py        with PyTorch
    clew run examples/digits.py      with clew, unmodified

1,797 images of 8 x 8 pixels (data/README.md names their source), a net of 64-128-10 units, Adam. Losses go to standard
output, the progress bar to standard error, the pictures to --out.
"""

import argparse
import csv
import gzip
import sys
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

DATA = Path(__file__).parent / "data" / "digits.csv.gz"
BATCH = 64


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 128)
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        return self.out(F.relu(self.hidden(x)))


def load_digits(path):
    """Images (n, 64) as float32 from 0 to 1, digits (n,) as int64."""
    with gzip.open(path, "rt") as file:
        rows = [[int(value) for value in row] for row in csv.reader(file)]
    table = torch.tensor(rows)
    return table[:, :64].float() / 16, table[:, 64]


def progress(epoch, epochs, done, total):
    """A bar on standard error, redrawn in place; nothing when that is not a terminal."""
    if sys.stderr.isatty():
        filled = 30 * done // total
        bar = "#" * filled + "-" * (30 - filled)
        sys.stderr.write(f"\repoch {epoch:3d}/{epochs} [{bar}] {done}/{total}")
        sys.stderr.write("\r" + " " * 64 + "\r" if done == total else "")
        sys.stderr.flush()


def train_epoch(model, optimizer, criterion, x, y, show):
    """One pass over the shuffled training set; the mean loss."""
    model.train()
    order = torch.randperm(len(x))
    total = 0.0
    for start in range(0, len(x), BATCH):
        chosen = order[start : start + BATCH]
        optimizer.zero_grad()
        loss = criterion(model(x[chosen]), y[chosen])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
        show(min(start + BATCH, len(x)), len(x))
    return total / len(x)


def evaluate(model, criterion, x, y):
    """The mean loss, the accuracy and the predicted digits, without recording a graph."""
    model.eval()
    with torch.no_grad():
        logits = model(x)
        loss = criterion(logits, y).item()
    predicted = logits.argmax(dim=1)
    return loss, (predicted == y).float().mean().item(), predicted


def draw(out, history, images, digits, predicted):
    """Writes loss.png and misread.png; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    epochs = range(1, len(history) + 1)
    axes.plot(epochs, [train for train, _ in history], label="training")
    axes.plot(epochs, [validation for _, validation in history], label="validation")
    axes.set(xlabel="epoch", ylabel="cross-entropy", yscale="log", title="Learning 64-128-10 on the digits")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "loss.png", dpi=120)
    plt.close(figure)

    wrong = (predicted != digits).nonzero().flatten().tolist()
    figure, grid = plt.subplots(3, 6, figsize=(8, 5))
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, wrong):
        axes.imshow(images[index].reshape(8, 8).tolist(), cmap="gray_r")
        axes.set_title(f"{digits[index].item()} read as {predicted[index].item()}", fontsize=8)
    figure.suptitle(f"{len(wrong)} of {len(digits)} validation digits misread")
    figure.tight_layout()
    figure.savefig(out / "misread.png", dpi=120)
    plt.close(figure)
    return out / "loss.png", out / "misread.png"


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(description="Trains a small net on 1,797 handwritten digits.")
    parser.add_argument(
        "--epochs", type=positive, default=30, help="passes over the training set (default 30)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the shuffling (default 0)")
    parser.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate (default 0.001)")
    parser.add_argument(
        "--out", type=Path, default=Path("digits_out"), help="folder of the pictures (default digits_out)"
    )
    return parser.parse_args()


def main():
    options = parse_arguments()
    torch.manual_seed(options.seed)
    images, digits = load_digits(DATA)
    order = torch.randperm(len(images))
    images, digits = images[order], digits[order]
    split = len(images) * 4 // 5
    x_train, y_train, x_valid, y_valid = images[:split], digits[:split], images[split:], digits[split:]

    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(x_train)} images to learn from, {len(x_valid)} to validate on, {parameters} parameters")

    history = []
    started = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        show = partial(progress, epoch, options.epochs)
        train_loss = train_epoch(model, optimizer, criterion, x_train, y_train, show)
        valid_loss, accuracy, predicted = evaluate(model, criterion, x_valid, y_valid)
        history.append((train_loss, valid_loss))
        print(f"epoch {epoch:3d}  train {train_loss:.4f}  valid {valid_loss:.4f}  accuracy {accuracy:.4f}")
    print(f"validation accuracy: {accuracy:.2%} ({(predicted != y_valid).sum().item()} misread)")
    print(f"trained in {time.perf_counter() - started:.2f} s", file=sys.stderr)

    try:
        paths = draw(options.out, history, x_valid, y_valid, predicted)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        print("no pictures: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
    else:
        print("pictures:", *paths)


if __name__ == "__main__":
    main()
