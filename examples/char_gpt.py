"""A character GPT, small enough for a laptop: it learns to continue a text one letter at a time.

    python examples/char_gpt.py        clew run examples/char_gpt.py

The text is the description of the other examples in this folder, read from their files. Two blocks of causal
self-attention, 32 wide, in the form of GPT-2 (Radford et al. 2019): layer norm first, attention, layer norm, a net.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

FOLDER = Path(__file__).parent
WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 32, 4, 2, 32, 8


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (
            part.view(batch, length, HEADS, -1).transpose(1, 2) for part in self.qkv(x).split(WIDTH, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.net = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.net(self.second(x))


class GPT(nn.Module):
    def __init__(self, letters):
        super().__init__()
        self.letter = nn.Embedding(letters, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, letters, bias=False)
        self.head.weight = self.letter.weight
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.05)

    def forward(self, x):
        h = self.letter(x) + self.place(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def read_text():
    files = sorted(f for f in FOLDER.glob("*.py"))
    return "\n".join(f.read_text(encoding="utf-8").split('"""')[1] for f in files)


def batch_of(codes):
    starts = torch.randint(len(codes) - CONTEXT - 1, (BATCH,))
    x = torch.stack([codes[s : s + CONTEXT] for s in starts.tolist()])
    y = torch.stack([codes[s + 1 : s + CONTEXT + 1] for s in starts.tolist()])
    return x, y


@torch.no_grad()
def continued(model, codes, count):
    """The likeliest letters, one after another."""
    model.eval()
    for _ in range(count):
        logits = model(codes[None, -CONTEXT:])[0, -1]
        codes = torch.cat([codes, logits.argmax()[None]])
    return codes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)

    text = read_text()
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    codes = torch.tensor([number[letter] for letter in text])
    model = GPT(len(letters))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    print(
        f"{len(text)} letters, {len(letters)} different; {sum(p.numel() for p in model.parameters())} parameters"
    )

    history = []
    for step in range(1, options.steps + 1):
        x, y = batch_of(codes)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(loss.item())
        if step % 100 == 0 or step == options.steps:
            print(f"step {step:4d}  loss {sum(history[-100:]) / len(history[-100:]):.3f}")
    start = codes[:CONTEXT]
    print("".join(letters[i] for i in continued(model, start, 60).tolist()).replace("\n", " "))

    try:
        draw(options.out / "char_gpt.png", history)
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, history):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(history, linewidth=0.7)
    axes.set(xlabel="step", ylabel="cross-entropy", title="A character GPT")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
