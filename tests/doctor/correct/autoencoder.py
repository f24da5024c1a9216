"""A denoising autoencoder: the input is its own goal."""

import torch
from torch import nn

torch.manual_seed(0)
basis = torch.randn(3, 12)
x = torch.randn(100, 3) @ basis
model = nn.Sequential(nn.Linear(12, 3), nn.Linear(3, 12))
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.005)
running = 0.0
for epoch in range(10):
    for batch in x.split(25):
        noisy = batch + 0.1 * torch.randn_like(batch)
        loss = nn.functional.mse_loss(model(noisy), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running = 0.9 * running + 0.1 * loss.item()
code = model[0](x[:2]).detach().numpy()
print(f"{running:.4f}", code.shape)
