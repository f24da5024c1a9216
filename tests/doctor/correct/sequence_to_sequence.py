"""A decoder that feeds on its own choices: the chosen word is a number, its scores are what learns."""

import torch
from torch import nn

torch.manual_seed(0)
table = nn.Embedding(8, 12)
encoder, decoder, head = nn.GRU(12, 12, batch_first=True), nn.GRUCell(12, 12), nn.Linear(12, 8)
modules = nn.ModuleList([table, encoder, decoder, head])
optimizer = torch.optim.Adam(modules.parameters(), lr=0.01)
words = torch.randint(1, 8, (16, 5))


def run(words, teach):
    _, hidden = encoder(table(words))
    hidden, word, scores = hidden[0], torch.zeros(len(words), dtype=torch.long), []
    for i in range(words.shape[1]):
        hidden = decoder(table(word), hidden)
        scores.append(head(hidden))
        word = words[:, -1 - i] if teach else scores[-1].argmax(1)
    return torch.stack(scores, 1)


for step in range(15):
    loss = nn.functional.cross_entropy(run(words, step % 2 == 0).flatten(0, 1), words.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    right = (run(words, False).argmax(-1) == words.flip(1)).float().mean()
print(f"{loss.item():.4f} {right:.2f}")
