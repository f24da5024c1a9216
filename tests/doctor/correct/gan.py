"""A GAN: two nets, two optimizers; the generator's backward also fills the discriminator's gradients."""

import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3)
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()

for step in range(30):
    real = torch.randn(32, 2) * 0.5 + 2
    fake = generator(torch.randn(32, 2))

    d_optimizer.zero_grad()
    d_loss = criterion(discriminator(real), torch.ones(32, 1))
    d_loss = d_loss + criterion(discriminator(fake.detach()), torch.zeros(32, 1))
    d_loss.backward()
    d_optimizer.step()

    g_optimizer.zero_grad()
    g_loss = criterion(discriminator(fake), torch.ones(32, 1))
    g_loss.backward()
    g_optimizer.step()
print(f"{d_loss.item():.3f} {g_loss.item():.3f}")
