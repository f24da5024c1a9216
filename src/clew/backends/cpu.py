"""The CPU."""


def get_cpu_capability() -> str:
    """Always DEFAULT: which instructions are used is NumPy's and BLAS's choice."""
    return "DEFAULT"
