# expect: non-finite 11
import torch
from torch import nn

model = nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
x, y = torch.randn(8, 3), torch.randn(8, 1)
x[2, 1] = float("nan")
for step in range(3):
    optimizer.zero_grad()
    output = model(x)
    loss = (output - y).abs().mean()
    loss.backward()
    optimizer.step()
    print(loss.item())
