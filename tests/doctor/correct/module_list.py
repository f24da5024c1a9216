"""A residual net of a ModuleList and a ModuleDict, initialised by hand."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.heads = nn.ModuleDict({"mean": nn.Linear(width, 1), "scale": nn.Linear(width, 1)})
        for block in self.blocks:
            nn.init.xavier_uniform_(block.weight)
            nn.init.zeros_(block.bias)

    def forward(self, x):
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.heads["mean"](x), nn.functional.softplus(self.heads["scale"](x))


torch.manual_seed(0)
net = Net(6, 3)
optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
x = torch.randn(64, 6)
y = x.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1)
for step in range(30):
    mean, scale = net(x)
    loss = -torch.distributions.Normal(mean, scale + 1e-3).log_prob(y).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
