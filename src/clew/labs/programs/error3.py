"""Symptom: RuntimeError, backward through the graph a second time

`backward()` frees what the graph saved as it passes. Compute the forward pass again, or say `retain_graph=True` if the
same graph is really wanted twice: then both gradients add up.
"""

import torch

w = torch.tensor(2.0, requires_grad=True)

loss = (w * 3 - 10) ** 2
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", str(error).partition(" (")[0])

w.grad = None
for _ in range(2):
    loss = (w * 3 - 10) ** 2  # a new graph each time
    loss.backward()
print("recomputed:", w.grad.item())

w.grad = None
loss = (w * 3 - 10) ** 2
loss.backward(retain_graph=True)
loss.backward()
print("retained:", w.grad.item())
