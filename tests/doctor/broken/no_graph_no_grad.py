# expect: loss-without-graph 9
import torch
from torch import nn

model = nn.Linear(2, 1)
x = torch.randn(4, 2)
with torch.no_grad():
    loss = model(x).square().mean()
loss.backward()
