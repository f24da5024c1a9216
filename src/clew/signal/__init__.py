"""Signal processing: `torch.signal`, which holds the windows."""

from clew.signal import windows

__all__ = ["windows"]
