"""Training with validation: train(), eval(), no_grad, the best weights kept, patience."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(120, 5)
labels = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
best, weights, patience = float("inf"), None, 0

for epoch in range(20):
    model.train()
    for rows in torch.randperm(80).split(16):
        optimizer.zero_grad()
        loss = criterion(model(x[rows]), labels[rows])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        output = model(x[80:])
        held_out = criterion(output, labels[80:]).item()
        accuracy = (output.argmax(1) == labels[80:]).float().mean().item()
    if held_out < best:
        best, weights, patience = held_out, copy.deepcopy(model.state_dict()), 0
    else:
        patience += 1
        if patience == 3:
            break
model.load_state_dict(weights)
print(f"{epoch} {best:.4f} {accuracy:.2f}")
