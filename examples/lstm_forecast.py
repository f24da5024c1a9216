"""Forecasting a series with an LSTM: two waves and noise, 20 values seen, the next one guessed.

    python examples/lstm_forecast.py        clew run examples/lstm_forecast.py

(Hochreiter and Schmidhuber 1997.) After training the net goes on alone, each guess being its next input.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn

SEEN = 20


class Forecaster(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.out(h[:, -1])


def series(length):
    t = torch.arange(length, dtype=torch.float32)
    return torch.sin(t / 5) + 0.5 * torch.sin(t / 11) + 0.05 * torch.randn(length)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="passes over the windows")
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    values = series(600)
    windows = values.unfold(0, SEEN + 1, 1)
    x, y = windows[:, :-1, None], windows[:, -1:]
    split = len(x) * 4 // 5
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(1, options.steps + 1):
        model.train()
        total = 0.0
        for chosen in torch.randperm(split).split(32):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x[chosen]), y[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(chosen)
        if epoch % 5 == 0 or epoch == options.steps:
            model.eval()
            with torch.no_grad():
                valid = nn.functional.mse_loss(model(x[split:]), y[split:]).item()
            print(f"epoch {epoch:3d}  train {total / split:.5f}  valid {valid:.5f}")

    with torch.no_grad():
        seen = values[split : split + SEEN].tolist()
        for _ in range(60):
            seen.append(model(torch.tensor(seen[-SEEN:])[None, :, None]).item())
    print("alone:", " ".join(f"{v:.2f}" for v in seen[SEEN : SEEN + 8]))
    try:
        draw(options.out / "lstm_forecast.png", seen, values[split : split + SEEN + 60].tolist())
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, guessed, truth):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(truth, label="series", alpha=0.5)
    axes.plot(range(SEEN, len(guessed)), guessed[SEEN:], label="the net alone")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
