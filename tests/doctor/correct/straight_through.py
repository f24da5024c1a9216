"""Vector quantisation: the nearest code goes forward, its gradient goes straight through to the encoder."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(6, 2), nn.Linear(2, 6)
codes = nn.Parameter(torch.randn(8, 2))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), codes], lr=0.01)
x = torch.randn(64, 6)
for step in range(20):
    z = encoder(x)
    nearest = torch.cdist(z, codes).argmin(1)
    chosen = codes[nearest]
    through = z + (chosen - z).detach()
    reconstruction = nn.functional.mse_loss(decoder(through), x)
    commitment = (z - chosen.detach()).pow(2).mean() + (z.detach() - chosen).pow(2).mean()
    loss = reconstruction + 0.25 * commitment
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
