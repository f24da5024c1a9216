# expect: parameter-rebound 9
import torch

ws = {"w": torch.zeros(2, requires_grad=True)}
x = torch.tensor([1.0, 2.0])
for _ in range(2):
    loss = (ws["w"] * x - 1).square().sum()
    loss.backward()
    ws["w"] = ws["w"] - 0.1 * ws["w"].grad
