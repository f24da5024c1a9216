# expect: integer-cut 10
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

prediction = model(x).argmax(dim=1).float()
loss = ((prediction - y) ** 2).mean()
loss.backward()
optimizer.step()
