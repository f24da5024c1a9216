"""A small transformer: learned places, a causal mask, one-cycle schedule, generation afterwards."""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, words=12, width=16, length=10):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Parameter(0.1 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.1, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.body(self.words(x) + self.places[: x.shape[1]], mask=mask))


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=12)
text = (torch.arange(11) + torch.arange(16).unsqueeze(1)) % 12
for step in range(12):
    loss = nn.functional.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
model.eval()
with torch.no_grad():
    made = text[:1, :3]
    for _ in range(5):
        made = torch.cat([made, model(made)[:, -1:].argmax(-1)], 1)
print(f"{loss.item():.4f}", made.shape)
