# expect: exploding-gradients 16
# expect: non-finite 14
import torch
from torch import nn

torch.manual_seed(0)
layers = [nn.Linear(16, 16) for _ in range(8)]
for layer in layers:
    nn.init.normal_(layer.weight, std=3.0)
model = nn.Sequential(*layers, nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)
x, y = torch.randn(16, 16), torch.randn(16, 1)
for step in range(5):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
