"""clew: PyTorch's autograd in readable Python. `import clew as torch`."""

import gc as _gc
import warnings as _warnings
from math import e, inf, nan, pi
from typing import Any as _Any

_collects = _gc.isenabled()
_gc.disable()  # what the imports make stays: to look through it for garbage takes a fifth of their time

import numpy as _np

from clew.tensor import Tensor  # first: the module's name then makes way for the function `tensor`
from clew import autograd, return_types, version
from clew.autograd.grad_mode import *
from clew.device import device
from clew.dtypes import (
    bfloat16, bool_ as bool, channels_last, channels_last_3d, complex64, complex128, contiguous_format, dtype, float16, float32, float64, get_default_dtype, int8, int16,
    int32, int64, layout, memory_format, preserve_format, promote_types, set_default_dtype, sparse_bsc, sparse_bsr,
    sparse_coo, sparse_csc, sparse_csr, strided, uint8, uint16, uint32, uint64,
)  # fmt: skip
from clew.ops.activation import *
from clew.ops.arithmetic import *
from clew.ops.bygone import *
from clew.ops.compare import *
from clew.ops.complex import *
from clew.ops.copies import *
from clew.ops.create import *
from clew.ops.ctc import *
from clew.ops.cumulative import *
from clew.ops.distance import *
from clew.ops.einsum import *
from clew.ops.elementwise import *
from clew.ops.embedding import *
from clew.ops.floats import *
from clew.ops.gamma_sampling import *
from clew.ops.getitem import *
from clew.ops.histogram import *
from clew.ops.index import *
from clew.ops.index_reduce import *
from clew.ops.inquiry import *
from clew.ops.join import *
from clew.ops.addmm import *
from clew.ops.legacy import *
from clew.ops.lobpcg import *
from clew.ops.memory import *
from clew.ops.linalg import *
from clew.ops.order import *
from clew.ops.ranges import *
from clew.ops.reduce import *
from clew.ops.sampling import *
from clew.ops.search import *
from clew.ops.segment import *
from clew.ops.masks import *
from clew.ops.parts import *
from clew.ops.shape import *
from clew.ops.softmax import *
from clew.ops.special import *
from clew.ops.storages import *
from clew.ops.strides import *
from clew.ops.trigonometry import *
from clew.ops.truth import *
from clew.ops.variance import *
from clew.ops.spectral import *
from clew.ops.windows import *
from clew.printing import set_printoptions
from clew.settings import *
from clew.streams import Generator, default_generator
from clew.size import Size
from clew.version import __version__

# The in-place methods that PyTorch has as functions, too.
for _name in [
    "abs_",
    "acos_",
    "acosh_",
    "addmv_",
    "arccos_",
    "arccosh_",
    "arcsin_",
    "arcsinh_",
    "arctan_",
    "arctanh_",
    "as_strided_",
    "asin_",
    "asinh_",
    "atan_",
    "atanh_",
    "ceil_",
    "clamp_",
    "clamp_max_",
    "clamp_min_",
    "clip_",
    "conj_physical_",
    "cos_",
    "cosh_",
    "deg2rad_",
    "detach_",
    "erf_",
    "erfc_",
    "exp2_",
    "exp_",
    "expm1_",
    "fill_",
    "fix_",
    "floor_",
    "frac_",
    "gcd_",
    "i0_",
    "index_put_",
    "lcm_",
    "ldexp_",
    "log10_",
    "log1p_",
    "log2_",
    "log_",
    "logit_",
    "nan_to_num_",
    "neg_",
    "negative_",
    "rad2deg_",
    "reciprocal_",
    "relu_",
    "round_",
    "rsqrt_",
    "sigmoid_",
    "sin_",
    "sinc_",
    "sinh_",
    "sqrt_",
    "square_",
    "tan_",
    "tanh_",
    "trunc_",
    "xlogy_",
    "zero_",
]:
    globals()[_name] = getattr(Tensor, _name)

detach = Tensor.detach
double, float, half = float64, float32, float16
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128
newaxis = None

# As in PyTorch, division by zero and overflow give inf and nan without a word. NumPy keeps this setting for each thread;
# the filter covers threads that start later, and leaves the warnings of NumPy used directly alone.
_np.seterr(all="ignore")
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"clew\.")

_ROOMS = (
    "_C", "_utils", "accelerator", "amp", "as_torch", "backends", "compiler", "cuda", "distributed", "distributions", "doctor", "fft", "func", "futures", "hub",
    "jit", "library", "linalg", "masked", "multiprocessing", "nn", "onnx", "optim", "overrides", "profiler", "quasirandom", "random", "serialization", "signal", "special", "storage",
    "testing", "types", "utils", "view",
)  # fmt: skip


_FROM_ROOMS = {
    "GradScaler": "amp",
    "autocast": "amp",
    "compile": "compiler",
    "debug_checklist": "view.checklist",
    "Future": "futures",
    "OutOfMemoryError": "cuda",
    "load": "serialization",
    "save": "serialization",
    "to_dlpack": "utils.dlpack",
    "vmap": "func",
}  # fmt: skip - names of rooms that stand here, too


def __getattr__(name: str) -> _Any:
    """The rooms above the tensor (`clew.nn`, `clew.optim` …) are loaded when first asked for."""
    from importlib import import_module

    if name in _FROM_ROOMS:
        return getattr(import_module(f"clew.{_FROM_ROOMS[name]}"), name)
    if name in _ROOMS:
        try:
            return import_module(f"clew.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"clew.{name}":
                raise
    if name.startswith("__"):
        raise AttributeError(f"module 'torch' has no attribute '{name}'")
    if name.startswith("_foreach_"):
        found = getattr(import_module("clew.ops.foreach"), name, None)
        if found is not None:
            return found
    from difflib import get_close_matches

    near = get_close_matches(name, globals(), 1)
    raise AttributeError(
        f"module 'torch' has no attribute '{name}' (clew does not have it)"
        + (f"; the nearest it has is '{near[0]}'" if near else "")
    )


from clew.ops.conv import *
from clew.ops.dropout import *
from clew.ops.indexed_pool import *
from clew.ops.native_norm import *
from clew.ops.resample import *
from clew.ops.norm import *
from clew.ops.pad import *
from clew.ops.pool import *
from clew.ops.resize import *
from clew.ops.solve import *
from clew.ops.qr import *
from clew.ops.lu import *
from clew.ops.factor import *
from clew.ops.measure import *
from clew import linalg

if not _gc.get_freeze_count():
    _gc.freeze()
    _gc.unfreeze()  # all of it is old now: the next search for garbage passes over it
if _collects:
    _gc.enable()
