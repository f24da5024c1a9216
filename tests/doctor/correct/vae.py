"""A variational autoencoder: a sample inside the graph, reconstruction and KL divergence added."""

import torch
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.mean, self.spread = nn.Linear(16, 2), nn.Linear(16, 2)
        self.decode = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        hidden = self.encode(x)
        mean, log_var = self.mean(hidden), self.spread(hidden)
        code = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(code), mean, log_var


torch.manual_seed(0)
x = torch.rand(64, 8).round()
model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(20):
    output, mean, log_var = model(x)
    reconstruction = F.binary_cross_entropy_with_logits(output, x, reduction="sum")
    divergence = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()
    loss = (reconstruction + divergence) / len(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
