# expect: unregistered-parameters 9
import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.ones(3, requires_grad=True)
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x * self.scale)


model = Scaled()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    model(torch.randn(8, 3)).square().mean().backward()
    optimizer.step()
