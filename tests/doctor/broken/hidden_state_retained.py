# expect: hidden-state-carried 11
import torch

torch.manual_seed(0)
a = torch.randn(4, 4, requires_grad=True)
b = torch.randn(3, 4, requires_grad=True)
h = torch.zeros(2, 4)

for step in range(8):
    x = torch.randn(2, 3)
    h = torch.tanh(h @ a + x @ b)
    loss = (h - 0.5).pow(2).mean()
    loss.backward(retain_graph=True)
    print(step, loss.item(), a.grad.norm().item())
    a.grad = b.grad = None
