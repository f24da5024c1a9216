"""Three tools: requires_grad, no_grad, detach

`requires_grad=True` marks what is to be learned: later operations on it are recorded. `torch.no_grad()` stops the
recording for a while: updates, validation, prediction. `detach()` gives a tensor's value without its history: logging,
NumPy, storing. A tensor whose gradient the loss still needs must not be detached.
"""

import torch

w = torch.tensor(5.0, requires_grad=True)

tracked = w * 2
detached = tracked.detach()

with torch.no_grad():
    untracked = w * 3

print("tracked.requires_grad:", tracked.requires_grad)
print("detached.requires_grad:", detached.requires_grad)
print("untracked.requires_grad:", untracked.requires_grad)
