"""Training, saving, loading, and predictions under inference_mode."""

import io

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(32, 3)
y = x.sum(1, keepdim=True)
for _ in range(20):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()

file = io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
loaded = nn.Linear(3, 1)
loaded.load_state_dict(torch.load(file))
loaded.eval()
with torch.inference_mode():
    print(loaded(torch.ones(2, 3)))
