"""A Dataset, a DataLoader, a random split, a progress line: the everyday training script."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def run_epoch(model, loader, criterion, optimizer=None):
    model.train(optimizer is not None)
    total = right = count = 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            output = model(x)
            loss = criterion(output, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(x)
            right += (output.argmax(dim=1) == y).sum().item()
            count += len(x)
    return total / count, right / count


torch.manual_seed(0)
x = torch.randn(160, 6)
train, held_out = random_split(TensorDataset(x, (x[:, 0] + x[:, 1] > 0).long()), [128, 32])
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(4):
    learned = run_epoch(model, DataLoader(train, 32, shuffle=True), nn.CrossEntropyLoss(), optimizer)
    checked = run_epoch(model, DataLoader(held_out, 32), nn.CrossEntropyLoss())
    print(epoch, [round(v, 3) for v in (*learned, *checked)])
