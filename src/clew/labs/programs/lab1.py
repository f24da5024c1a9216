"""One parameter, one gradient

`requires_grad=True` makes w something to learn: whatever is computed from it is recorded. `loss.backward()` goes back
along the record and leaves d loss / d w in `w.grad`.

By hand: loss = (3w - 10)^2, so d loss / d w = 2 (3w - 10) 3 = 6 (3w - 10), which is -24 at w = 2. The sign says that a
larger w makes the loss smaller.
"""

import torch

w = torch.tensor(2.0, requires_grad=True)
loss = (w * 3 - 10) ** 2
print("loss:", loss.item())

loss.backward()
print("w.grad:", w.grad.item())
