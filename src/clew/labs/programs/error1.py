"""Symptom: .grad is None

Two causes. A tensor made without `requires_grad=True` gets no gradient; ask for one with `requires_grad_()`. A tensor
that was computed is not a leaf: its gradient only passes through, with a warning for those who look; keep it with
`retain_grad()`.
"""

import warnings

import torch

w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(1.0)
(w * 3 + b).backward()
print("b.grad:", b.grad)

b.requires_grad_()
(w * 3 + b).backward()
print("b.grad after requires_grad_():", b.grad)

h = w * 3
(h**2).backward()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("h.is_leaf:", h.is_leaf, " h.grad:", h.grad)
print("warning:", str(caught[0].message).partition(". ")[0])

h = w * 3
h.retain_grad()
(h**2).backward()
print("h.grad after retain_grad():", h.grad)
