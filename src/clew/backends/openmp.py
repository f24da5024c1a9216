"""OpenMP: not used by clew itself (NumPy's BLAS has threads of its own)."""


def is_available() -> bool:
    """False."""
    return False
