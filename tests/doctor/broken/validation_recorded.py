# expect: validation-recorded 18
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(32, 3), torch.randn(32, 1)
xv, yv = torch.randn(16, 3), torch.randn(16, 1)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(3):
    model.train()
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()

    model.eval()
    validation = nn.functional.mse_loss(model(xv), yv)
    print(epoch, validation.item())
