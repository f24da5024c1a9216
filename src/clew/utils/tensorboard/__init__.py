"""TensorBoard's files: tensorboardX writes them."""

try:
    from tensorboardX import SummaryWriter  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError as _error:
    raise ImportError(
        "SummaryWriter writes with tensorboardX, which is not installed: `pip install tensorboardX`"
    ) from _error

__all__ = ["SummaryWriter"]
