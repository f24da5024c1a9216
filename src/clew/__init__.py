"""clew: PyTorch's autograd in readable Python. `import clew as torch`."""

import warnings as _warnings
from math import e, inf, nan, pi
from typing import Any as _Any

import numpy as _np

from clew.tensor import Tensor  # first: the module's name then makes way for the function `tensor`
from clew import autograd, return_types, version
from clew.autograd.grad_mode import *
from clew.device import device
from clew.dtypes import (
    bfloat16, bool_ as bool, channels_last, channels_last_3d, complex64, complex128, contiguous_format, dtype, float16, float32, float64, get_default_dtype, int8, int16,
    int32, int64, layout, memory_format, preserve_format, promote_types, set_default_dtype, strided, uint8, uint16, uint32, uint64,
)  # fmt: skip
from clew.ops.activation import *
from clew.ops.arithmetic import *
from clew.ops.compare import *
from clew.ops.complex import *
from clew.ops.create import *
from clew.ops.cumulative import *
from clew.ops.distance import *
from clew.ops.einsum import *
from clew.ops.elementwise import *
from clew.ops.embedding import *
from clew.ops.getitem import *
from clew.ops.index import *
from clew.ops.inquiry import *
from clew.ops.join import *
from clew.ops.addmm import *
from clew.ops.legacy import *
from clew.ops.linalg import *
from clew.ops.order import *
from clew.ops.ranges import *
from clew.ops.reduce import *
from clew.ops.sampling import *
from clew.ops.search import *
from clew.ops.masks import *
from clew.ops.parts import *
from clew.ops.shape import *
from clew.ops.softmax import *
from clew.ops.special import *
from clew.ops.strides import *
from clew.ops.trigonometry import *
from clew.ops.variance import *
from clew.printing import set_printoptions
from clew.random import Generator, default_generator
from clew.size import Size
from clew.version import __version__

double, float, half = float64, float32, float16
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128
newaxis = None

# As in PyTorch, division by zero and overflow give inf and nan without a word. NumPy keeps this setting for each thread;
# the filter covers threads that start later, and leaves the warnings of NumPy used directly alone.
_np.seterr(all="ignore")
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"clew\.")

_ROOMS = (
    "as_torch", "backends", "cuda", "distributed", "distributions", "fft", "func", "hub", "jit", "linalg", "nn", "optim",
    "overrides", "random", "serialization", "special", "testing", "types", "utils",
)  # fmt: skip


_FROM_ROOMS = {"load": "serialization", "save": "serialization"}  # names of rooms that stand here, too


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
    from difflib import get_close_matches

    near = get_close_matches(name, globals(), 1)
    raise AttributeError(
        f"module 'torch' has no attribute '{name}' (clew does not have it)"
        + (f"; the nearest it has is '{near[0]}'" if near else "")
    )


from clew.ops.conv import *
from clew.ops.pad import *
from clew.ops.pool import *
from clew.ops.resize import *
from clew.ops.factor import *
from clew.ops.measure import *
from clew import linalg
