# expect: learning-rate-too-high 9
import torch

w = torch.tensor(2.0, requires_grad=True)
for step in range(1, 21):
    loss = (w * 3 - 10) ** 2
    loss.backward()
    with torch.no_grad():
        w -= 0.15 * w.grad
    w.grad.zero_()
    print(f"step={step} w={w.item():.4f} loss={loss.item():.4f}")
