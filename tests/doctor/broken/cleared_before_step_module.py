# expect: cleared-before-step 11
import torch
from torch import nn


def train(model, optimizer, batches):
    for x in batches:
        loss = model(x).square().sum()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        model.zero_grad(set_to_none=False)
        optimizer.step()


def main():
    model = nn.Linear(3, 2)
    train(model, torch.optim.AdamW(model.parameters()), torch.randn(4, 8, 3))


main()
