"""Version numbers: clew's own, and that of the PyTorch whose behaviour it has."""

clew = "0.1.0"
__version__ = "2.13.0"  # programs ask `torch.__version__` to learn which behaviour to expect
cuda = None
hip = None
git_version = "Unknown"
debug = False
