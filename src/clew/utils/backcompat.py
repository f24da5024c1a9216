"""Switches of warnings about semantics that changed long ago; nothing is warned of."""

from __future__ import annotations


class Warning:
    """A switch that remembers its position."""

    enabled = False


broadcast_warning = Warning()
keepdim_warning = Warning()

__all__ = ["Warning", "broadcast_warning", "keepdim_warning"]
