# expect: graph-kept-alive 13
import torch
from torch import nn


def train(model, optimizer, batches):
    stats = {"loss": 0.0, "seen": 0}
    for x in batches:
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        stats["loss"] = stats["loss"] + loss * len(x)
        stats["seen"] += len(x)
    return stats["loss"] / stats["seen"]


model = nn.Linear(4, 2)
print(train(model, torch.optim.AdamW(model.parameters()), torch.randn(6, 8, 4)))
