"""Symptom: training is unstable

The old gradients were not cleared, so each step repeats all earlier ones and w swings around its goal of 10 / 3 without
settling. `optimizer.zero_grad()` before `backward()` cures it.
"""

import torch


def train(clear):
    w = torch.tensor(2.0, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.02)
    path = []
    for _ in range(10):
        if clear:
            optimizer.zero_grad()
        loss = (w * 3 - 10) ** 2
        loss.backward()
        optimizer.step()
        path.append(f"{w.item():.2f}")
    return " ".join(path)


print("not cleared:", train(clear=False))
print("cleared:    ", train(clear=True))
