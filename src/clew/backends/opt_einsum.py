"""The package opt_einsum: not used; `einsum` orders its products itself."""

enabled = False
strategy = None


def is_available() -> bool:
    """False."""
    return False
