"""`torch.random`: the default stream, its state, generators."""

from __future__ import annotations

from typing import Any

from clew.ops.sampling import fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from clew.streams import Generator, default_generator


def thread_safe_generator() -> Any:
    """The generator of a DataLoader's worker thread: None, since clew's workers are processes."""
    return None


__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state", "thread_safe_generator",
]  # fmt: skip
