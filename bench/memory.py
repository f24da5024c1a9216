"""The memory that a training process takes at its peak, library and all: each in a fresh process, after some steps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from report import Detail, Findings, Row

STEPS = 20
HERE = str(Path(__file__).parent)
SOURCE = """
import sys
sys.path[:0] = [{here!r}, {src!r}]
import memory
print(memory.peak({work!r}, {library!r}))
"""


def works() -> dict[str, Callable[[Any], Any]]:
    """The rows: what is built from a library, whose step is taken."""
    from labs import lab4
    from large import adam_alone, character_gpt, digits_784, lstm, small_cnn
    from nets import digits_net

    return {
        "lab-4 step": lab4,
        "64-128-10 net, batch 64, Adam": digits_net,
        "784-512-10 net, batch 128, Adam": digits_784,
        "GPT 4 layers 128 wide, 64 context, batch 12, AdamW": lambda t: character_gpt(t, 4, 128, 64, 12),
        "LSTM 64 wide, 32 steps, batch 32": lstm,
        "small CNN on 1×28×28, batch 64": small_cnn,
        "Adam step on 4M parameters": adam_alone,
    }


def peak(work: str, library: str) -> int:
    """In a fresh process: bytes at the peak."""
    name, _, how = library.partition(" ")
    if name == "clew":  # the rows' modules know both libraries; of PyTorch's nothing must be loaded
        from clew import as_torch

        as_torch.install()
    else:
        sys.modules["clew"] = ModuleType("clew")
    import torch

    step = works()[work](torch).step
    if how == "compiled":
        step = torch.compile(step, fullgraph=True)
    for _ in range(STEPS):
        step()
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measured(work: str, library: str) -> int:
    source = SOURCE.format(here=HERE, src=f"{HERE}/../src", work=work, library=library)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def run_memory() -> Findings:
    found = Findings()
    rows = []
    for work in works():
        peer, eager, compiled = (measured(work, name) for name in ("torch", "clew", "clew compiled"))
        rows.append((work, mib(peer), mib(eager), mib(compiled)))
        for how, ours in (("eager", eager), ("compiled", compiled)):
            found.rows.append(
                Row(
                    f"{work}: peak memory, {how}",
                    mib(ours),
                    mib(peer),
                    f"{peer / ours:.2f}×",
                    "",
                    "≥ 1×",
                    peer >= ours,
                )
            )
    found.details.append(
        Detail(
            "Memory at the peak", f"Of the whole process, libraries included, after {STEPS} steps.",
            ("work", "PyTorch", "clew", "clew compiled"), rows,
        )
    )  # fmt: skip
    return found


def mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
