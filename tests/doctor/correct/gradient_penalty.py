"""WGAN-GP: the norm of the critic's gradient is part of its loss."""

import torch
from torch import nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
c_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))

for step in range(12):
    real = torch.randn(32, 2) + 1
    with torch.no_grad():
        fake = generator(torch.randn(32, 3))
    mix = torch.rand(32, 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
    c_optimizer.zero_grad()
    loss.backward()
    c_optimizer.step()
    if step % 3 == 2:
        g_loss = -critic(generator(torch.randn(32, 3))).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
print(f"{loss.item():.4f} {g_loss.item():.4f}")
