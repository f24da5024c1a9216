"""A critic whose weights are clipped, stepped several times for each step of the generator, whose pass fills its .grad."""

import torch
from torch import nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
generator = nn.Linear(3, 2)
opt_c = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
opt_g = torch.optim.RMSprop(generator.parameters(), lr=1e-3)

for step in range(4):
    for _ in range(3):
        real, fake = torch.randn(8, 2) + 2, generator(torch.randn(8, 3)).detach()
        loss_c = critic(fake).mean() - critic(real).mean()
        opt_c.zero_grad()
        loss_c.backward()
        opt_c.step()
        for p in critic.parameters():
            p.data.clamp_(-0.1, 0.1)
    loss_g = -critic(generator(torch.randn(8, 3))).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    if step % 2 == 0:
        print(loss_c.item(), loss_g.item())

x = torch.randn(4, 2, requires_grad=True)
critic(x).sum().backward()  # a last look at what the critic sees: nothing is updated from it
print(x.grad.norm())
