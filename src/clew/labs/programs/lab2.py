"""A gradient is not an update

`backward()` computes and changes no parameter. The step is ours: w moves against its gradient, by a length that the
learning rate sets. It is written under `no_grad`, since the update is no part of the next forward pass and must not be
recorded.

With lr = 0.1 the steps overshoot (10 / 3 is the goal), and w jumps from one side to the other while the loss falls.
"""

import torch

w = torch.tensor(2.0, requires_grad=True)
lr = 0.1

print("single_parameter_training")
for step in range(1, 6):
    loss = (w * 3 - 10) ** 2
    loss.backward()

    with torch.no_grad():
        w -= lr * w.grad

    print(f"step={step} w={w.item():.4f} loss={loss.item():.4f} grad={w.grad.item():.4f}")
    w.grad.zero_()
