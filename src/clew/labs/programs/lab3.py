"""Gradients accumulate

A second `backward()` adds to `.grad`; it does not replace it. At x = 3 the gradient of x^2 is 6 and that of 2x is 2, so
the sum 8 appears, and after `zero_()` the 2 alone. This is why each training step begins by clearing.
"""

import torch

x = torch.tensor(3.0, requires_grad=True)

y1 = x**2
y1.backward()
print("after first backward:", x.grad.item())

y2 = 2 * x
y2.backward()
print("after second backward:", x.grad.item())

x.grad.zero_()
y3 = 2 * x
y3.backward()
print("after zero and third backward:", x.grad.item())
