"""Mixed precision: `autocast` computes matrix products in 16 bits, `GradScaler` keeps small gradients from vanishing."""

from clew.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from clew.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
