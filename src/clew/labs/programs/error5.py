"""Symptom: validation is slow and takes memory

Outside `no_grad` every validation pass records a graph that nobody will walk. Inside `with torch.no_grad():` the numbers
are the same and nothing is recorded.
"""

import torch
from torch import nn

model = nn.Linear(3, 1)
nn.init.constant_(model.weight, 0.5)
nn.init.zeros_(model.bias)
x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

model.eval()
recorded = model(x)
with torch.no_grad():
    quiet = model(x)

print("outside no_grad:", recorded.requires_grad, type(recorded.grad_fn).__name__)
print("inside no_grad:", quiet.requires_grad, quiet.grad_fn)
print("same numbers:", torch.equal(recorded, quiet))
print(quiet)
