# expect: softmax-before-cross-entropy 7
import torch
from torch.nn import functional as F

w = torch.randn(4, 3, requires_grad=True)
probabilities = F.softmax(torch.randn(8, 4) @ w, dim=-1)
loss = F.nll_loss(probabilities, torch.arange(8) % 3)
loss.backward()
