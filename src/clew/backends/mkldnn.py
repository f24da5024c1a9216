"""Intel's oneDNN: not used. The flags are kept."""

enabled = True
deterministic = False
allow_tf32 = False


def is_available() -> bool:
    """False."""
    return False
