# expect: hidden-state-carried 13
import torch
from torch import nn


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(2, 8), nn.Linear(8, 1)
        self.state = torch.zeros(4, 8)

    def forward(self, x):
        self.state = self.cell(x, self.state)
        return self.head(self.state)


torch.manual_seed(0)
model = Counter()
optimizer = torch.optim.Adam(model.parameters())
for step in range(5):
    x = torch.randn(4, 2)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)).backward()
    optimizer.step()
