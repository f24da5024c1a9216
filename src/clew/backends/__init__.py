"""What PyTorch would compute with. Flags can be set and read as there; clew computes with NumPy and BLAS whatever they say."""

from clew.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

fp32_precision = "none"

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
