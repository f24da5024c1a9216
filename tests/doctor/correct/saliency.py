"""Gradients of the input: a trained net is asked which features matter, and an input is changed to fool it."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 5)
labels = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(30):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()

model.eval()
for parameter in model.parameters():
    parameter.requires_grad_(False)
image = x[:4].clone().requires_grad_(True)
loss = nn.functional.cross_entropy(model(image), labels[:4])
loss.backward()
important = image.grad.abs().mean(0).argmax().item()
fooled = (image + 0.5 * image.grad.sign()).detach()
with torch.no_grad():
    print(important, model(fooled).argmax(1).tolist())
