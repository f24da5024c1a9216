"""Anomaly mode: the forward stack of a node, and the warning that shows it."""

from __future__ import annotations

import sys
import traceback
import warnings

from clew.core.node import Node, internal


def forward_stack() -> str:
    """The user's part of the current stack, as a traceback prints it."""
    frames = traceback.extract_stack(sys._getframe(2))
    return "".join(traceback.format_list([f for f in frames if not internal[f.filename]]))


def report(node: Node) -> None:
    """Warn with the forward call of the node whose gradient failed."""
    stack = node.extras.stack if node.extras is not None else None
    if stack is None:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during "
            "forward pass for more information.",
            UserWarning,
            stacklevel=2,
        )
        return
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{stack}",
        UserWarning,
        stacklevel=2,
    )
