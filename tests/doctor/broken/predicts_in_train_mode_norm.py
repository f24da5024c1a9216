# expect: evaluated-in-train-mode 17
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(3):
    model.train()
    for x in torch.randn(4, 16, 3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(16) % 2).backward()
        optimizer.step()
    right = 0
    with torch.inference_mode():
        for x in torch.randn(2, 16, 3):
            right += (model(x).argmax(1) == torch.arange(16) % 2).sum().item()
    print(epoch, right / 32)
