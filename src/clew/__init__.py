"""clew: PyTorch's autograd in readable Python. `import clew as torch`."""

from clew.dtypes import (  # noqa: F401
    bfloat16, bool_ as bool, complex64, complex128, dtype, float16, float32, float64, get_default_dtype, int8, int16,
    int32, int64, promote_types, set_default_dtype, uint8, uint16, uint32, uint64,
)  # fmt: skip
from clew.device import device  # noqa: F401
from clew.tensor import Tensor  # noqa: F401
from clew.ops.create import *  # noqa: F403
from clew.ops.elementwise import *  # noqa: F403
