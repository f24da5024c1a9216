# expect: tensor-copy 12
import torch
from torch import nn

model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 3), torch.randn(8, 1)

for step in range(3):
    optimizer.zero_grad()
    value = nn.functional.mse_loss(model(x), y).item()
    loss = torch.tensor(value, requires_grad=True)
    loss.backward()
    optimizer.step()
    print(value)
