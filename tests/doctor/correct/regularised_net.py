"""BatchNorm and Dropout in a small convolutional net; train() and eval() by turns."""

import torch
from torch import nn

torch.manual_seed(0)
images = torch.randn(48, 1, 8, 8)
labels = (images.mean((1, 2, 3)) > 0).long()
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 2),
)  # fmt: skip
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
for epoch in range(3):
    model.train()
    for a, b in zip(images[:32].split(16), labels[:32].split(16)):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(a), b)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(images[32:]).argmax(1) == labels[32:]).float().mean()
    print(epoch, f"{loss.item():.3f} {right:.2f}")
