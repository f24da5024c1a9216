"""Tensor: a variable with the operators. Methods are the functions of `clew.ops`, by class-body alias."""

from __future__ import annotations

import operator
from functools import wraps
from typing import Any

import numpy as np

from clew.autograd import graph
from clew.autograd.backward import tensor_backward
from clew.core.inplace import in_place, in_place_binary
from clew.core.variable import Variable, classes, wrap
from clew.device import cpu as cpu_device
from clew.device import device
from clew.dtypes import dtype, from_numpy, strided
from clew.ops import (
    activation,
    arithmetic,
    bygone,
    compare,
    convert,
    copies,
    create,
    cumulative,
    distance,
    elementwise,
    factor,
    fills,
    floats,
    getitem,
    index,
    join,
    legacy,
    linalg,
    masks,
    measure,
    order,
    parts,
    reduce,
    sampling,
    segment,
    softmax,
    solve,
    special,
    spectral,
    storages,
    strides,
    trigonometry,
    truth,
    variance,
    vocabulary,
)
from clew.ops import addmm as sums
from clew.ops import complex as complex_
from clew.ops import einsum as contractions
from clew.ops import histogram as histogram_of
from clew.ops import index_reduce as slice_reductions
from clew.ops import lu as lu_
from clew.ops import memory as memory_
from clew.ops import qr as reflections
from clew.ops import shape as shapes
from clew.ops.text import tensor_text
from clew.size import Size


def _keeping_type(comparison: Any) -> Any:
    """A comparison whose result has the type of its first operand, as the in-place forms store it."""

    @wraps(comparison)
    def compare(input: Any, *other: Any) -> Any:
        return comparison(input, *other).to(input.dtype)

    return compare


class Tensor(Variable):
    """An n-dimensional array whose history autograd can follow."""

    __module__ = "torch"  # programs print `type(x)`
    __slots__ = ()
    __hash__ = object.__hash__
    __array_priority__ = 1000

    def __new__(cls, *data: Any, dtype: Any = None, device: Any = None) -> Any:
        """PyTorch's older constructor: `Tensor(2, 3)` has that shape, `Tensor([2, 3])` these values, in the default type.

        Results of operations are not made here (see `clew.core.variable.wrap`).
        """
        made = create.from_constructor(data, device)
        if cls is not Tensor:
            made.__class__ = cls
        return made

    # ---- what it is (tensor.py) -----------------------------------------------------------------------------------
    @property
    def dtype(self) -> dtype:
        """The element type."""
        return from_numpy(self._array.dtype)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    @property
    def device(self) -> device:
        """Where the tensor lives: the CPU."""
        return cpu_device

    @property
    def layout(self) -> Any:
        """How the elements are laid out: strided."""
        return strided

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    is_cuda = is_sparse = is_quantized = is_meta = is_mps = is_mkldnn = is_xpu = is_nested = False
    is_cpu = True
    names = property(lambda self: (None,) * self._array.ndim)

    def is_floating_point(self) -> bool:
        """Whether the elements are floating numbers."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether the elements have a sign."""
        return self.dtype.is_signed

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned: never."""
        return False

    def pin_memory(self, device: Any = None) -> Tensor:
        """The tensor itself: without a GPU there is nothing to pin."""
        return self

    # ---- autograd (clew.autograd) -----------------------------------------------------------------------------------
    backward = tensor_backward
    register_hook = graph.register_hook
    register_post_accumulate_grad_hook = graph.register_post_accumulate_grad_hook

    def detach(self) -> Tensor:
        """The same values without history: shares memory and version counter."""
        self.memory()
        result = wrap(self._array)
        result._counter = self.version()
        return result

    @property
    def data(self) -> Tensor:
        """The same values without history, with a version counter of their own: writes go unnoticed by autograd."""
        return wrap(self.memory())

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Variable):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._edge is not None and value._array.dtype.kind not in "fcV":
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex dtype"
            )
        self._rebind(value.memory())

    detach_ = graph.detach_
    is_inference = graph.is_inference

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return tensor_text(self)

    # ---- spectra (ops/spectral.py) -----------------------------------------------------------------------------------
    stft = spectral.stft
    istft = spectral.istft

    # ---- elementwise (ops/elementwise.py, trigonometry.py, compare.py, complex.py, special.py) -------------------------
    abs = elementwise.abs
    add = arithmetic.add
    addcdiv = arithmetic.addcdiv
    addcmul = arithmetic.addcmul
    ceil = elementwise.ceil
    clamp = elementwise.clamp
    clamp_max = elementwise.clamp_max
    clamp_min = elementwise.clamp_min
    copysign = floats.copysign
    div = arithmetic.div
    exp = elementwise.exp
    exp2 = elementwise.exp2
    expm1 = elementwise.expm1
    float_power = arithmetic.float_power
    floor = elementwise.floor
    floor_divide = arithmetic.floor_divide
    fmax = elementwise.fmax
    fmin = elementwise.fmin
    fmod = arithmetic.fmod
    frac = elementwise.frac
    frexp = floats.frexp
    heaviside = elementwise.heaviside
    ldexp = floats.ldexp
    lerp = arithmetic.lerp
    log = elementwise.log
    log10 = elementwise.log10
    log1p = elementwise.log1p
    log2 = elementwise.log2
    logaddexp = elementwise.logaddexp
    logaddexp2 = elementwise.logaddexp2
    maximum = elementwise.maximum
    minimum = elementwise.minimum
    mul = arithmetic.mul
    nan_to_num = elementwise.nan_to_num
    neg = elementwise.neg
    nextafter = floats.nextafter
    positive = elementwise.positive
    pow = arithmetic.pow
    reciprocal = arithmetic.reciprocal
    remainder = arithmetic.remainder
    round = elementwise.round
    rsqrt = elementwise.rsqrt
    sgn = elementwise.sgn
    sigmoid = elementwise.sigmoid
    sign = elementwise.sign
    signbit = elementwise.signbit
    sqrt = elementwise.sqrt
    square = elementwise.square
    sub = arithmetic.sub
    trunc = elementwise.trunc

    def where(self, condition: Any, other: Any) -> Any:
        """This tensor where `condition` holds, else `other`."""
        return elementwise.where(condition, self, other)

    xlogy = elementwise.xlogy
    acos = trigonometry.acos
    acosh = trigonometry.acosh
    asin = trigonometry.asin
    asinh = trigonometry.asinh
    atan = trigonometry.atan
    atan2 = trigonometry.atan2
    atanh = trigonometry.atanh
    cos = trigonometry.cos
    cosh = trigonometry.cosh
    deg2rad = trigonometry.deg2rad
    hypot = trigonometry.hypot
    rad2deg = trigonometry.rad2deg
    sin = trigonometry.sin
    sinc = trigonometry.sinc
    sinh = trigonometry.sinh
    tan = trigonometry.tan
    tanh = trigonometry.tanh
    allclose = compare.allclose
    bitwise_and = compare.bitwise_and
    bitwise_left_shift = compare.bitwise_left_shift
    bitwise_not = compare.bitwise_not
    bitwise_or = compare.bitwise_or
    bitwise_right_shift = compare.bitwise_right_shift
    bitwise_xor = compare.bitwise_xor
    eq = compare.eq
    equal = compare.equal
    gcd = compare.gcd
    ge = compare.ge
    gt = compare.gt
    isclose = compare.isclose
    isfinite = compare.isfinite
    isinf = compare.isinf
    isnan = compare.isnan
    isneginf = compare.isneginf
    isposinf = compare.isposinf
    isreal = compare.isreal
    lcm = compare.lcm
    le = compare.le
    logical_and = compare.logical_and
    logical_not = compare.logical_not
    logical_or = compare.logical_or
    logical_xor = compare.logical_xor
    lt = compare.lt
    ne = compare.ne
    angle = complex_.angle
    conj = complex_.conj
    conj_physical = complex_.conj_physical
    is_conj = complex_.is_conj
    resolve_conj = complex_.resolve_conj
    resolve_neg = complex_.resolve_neg
    digamma = special.digamma
    erf = special.erf
    erfc = special.erfc
    erfinv = special.erfinv
    i0 = special.i0
    igamma = special.igamma
    igammac = special.igammac
    lgamma = special.lgamma
    logit = special.logit
    mvlgamma = special.mvlgamma
    polygamma = special.polygamma_of
    absolute = abs
    clip = clamp
    divide = div
    true_divide = div
    fix = trunc
    multiply = mul
    negative = neg
    subtract = sub
    arccos = acos
    arccosh = acosh
    arcsin = asin
    arcsinh = asinh
    arctan = atan
    arctan2 = atan2
    arctanh = atanh
    greater = gt
    greater_equal = ge
    less = lt
    less_equal = le
    not_equal = ne
    real = property(complex_.real, doc=complex_.real.__doc__)
    imag = property(complex_.imag, doc=complex_.imag.__doc__)

    add_ = in_place_binary(arithmetic.add, operator.add, np.add)
    sub_ = in_place_binary(arithmetic.sub, operator.sub, np.subtract)
    mul_ = in_place_binary(arithmetic.mul, operator.mul, np.multiply)
    div_ = in_place_binary(arithmetic.div, operator.truediv, np.true_divide)
    subtract_, multiply_, divide_, true_divide_ = sub_, mul_, div_, div_
    abs_ = in_place(elementwise.abs)
    addcdiv_ = in_place(arithmetic.addcdiv)
    addcmul_ = in_place(arithmetic.addcmul)
    ceil_ = in_place(elementwise.ceil)
    clamp_ = in_place(elementwise.clamp)
    clamp_max_ = in_place(elementwise.clamp_max)
    clamp_min_ = in_place(elementwise.clamp_min)
    copysign_ = in_place(floats.copysign)
    exp_ = in_place(elementwise.exp)
    exp2_ = in_place(elementwise.exp2)
    expm1_ = in_place(elementwise.expm1)
    float_power_ = in_place(arithmetic.float_power)
    floor_ = in_place(elementwise.floor)
    floor_divide_ = in_place(arithmetic.floor_divide)
    fmod_ = in_place(arithmetic.fmod)
    frac_ = in_place(elementwise.frac)
    heaviside_ = in_place(elementwise.heaviside)
    ldexp_ = in_place(floats.ldexp)
    lerp_ = in_place(arithmetic.lerp)
    log_ = in_place(elementwise.log)
    log10_ = in_place(elementwise.log10)
    log1p_ = in_place(elementwise.log1p)
    log2_ = in_place(elementwise.log2)
    nan_to_num_ = in_place(elementwise.nan_to_num)
    neg_ = in_place(elementwise.neg)
    nextafter_ = in_place(floats.nextafter)
    pow_ = in_place(arithmetic.pow)
    reciprocal_ = in_place(arithmetic.reciprocal)
    remainder_ = in_place(arithmetic.remainder)
    round_ = in_place(elementwise.round)
    rsqrt_ = in_place(elementwise.rsqrt)
    sgn_ = in_place(elementwise.sgn)
    sigmoid_ = in_place(elementwise.sigmoid)
    sign_ = in_place(elementwise.sign)
    sqrt_ = in_place(elementwise.sqrt)
    square_ = in_place(elementwise.square)
    trunc_ = in_place(elementwise.trunc)
    xlogy_ = in_place(elementwise.xlogy)
    acos_ = in_place(trigonometry.acos)
    acosh_ = in_place(trigonometry.acosh)
    asin_ = in_place(trigonometry.asin)
    asinh_ = in_place(trigonometry.asinh)
    atan_ = in_place(trigonometry.atan)
    atan2_ = in_place(trigonometry.atan2)
    atanh_ = in_place(trigonometry.atanh)
    cos_ = in_place(trigonometry.cos)
    cosh_ = in_place(trigonometry.cosh)
    deg2rad_ = in_place(trigonometry.deg2rad)
    hypot_ = in_place(trigonometry.hypot)
    rad2deg_ = in_place(trigonometry.rad2deg)
    sin_ = in_place(trigonometry.sin)
    sinc_ = in_place(trigonometry.sinc)
    sinh_ = in_place(trigonometry.sinh)
    tan_ = in_place(trigonometry.tan)
    tanh_ = in_place(trigonometry.tanh)
    bitwise_and_ = in_place(compare.bitwise_and)
    bitwise_left_shift_ = in_place(compare.bitwise_left_shift)
    bitwise_not_ = in_place(compare.bitwise_not)
    bitwise_or_ = in_place(compare.bitwise_or)
    bitwise_right_shift_ = in_place(compare.bitwise_right_shift)
    bitwise_xor_ = in_place(compare.bitwise_xor)
    gcd_ = in_place(compare.gcd)
    lcm_ = in_place(compare.lcm)
    eq_ = in_place(_keeping_type(compare.eq))
    ne_ = in_place(_keeping_type(compare.ne))
    lt_ = in_place(_keeping_type(compare.lt))
    le_ = in_place(_keeping_type(compare.le))
    gt_ = in_place(_keeping_type(compare.gt))
    ge_ = in_place(_keeping_type(compare.ge))
    logical_and_ = in_place(_keeping_type(compare.logical_and))
    logical_or_ = in_place(_keeping_type(compare.logical_or))
    logical_xor_ = in_place(_keeping_type(compare.logical_xor))
    logical_not_ = in_place(_keeping_type(compare.logical_not))
    conj_physical_ = in_place(complex_.conj_physical)
    digamma_ = in_place(special.digamma)
    erf_ = in_place(special.erf)
    erfc_ = in_place(special.erfc)
    erfinv_ = in_place(special.erfinv)
    i0_ = in_place(special.i0)
    igamma_ = in_place(special.igamma)
    igammac_ = in_place(special.igammac)
    lgamma_ = in_place(special.lgamma)
    logit_ = in_place(special.logit)
    mvlgamma_ = in_place(special.mvlgamma)
    polygamma_ = in_place(special.polygamma_of, "polygamma_")
    absolute_, clip_, fix_, negative_ = abs_, clamp_, trunc_, neg_
    arccos_, arcsin_, arctan_, arctan2_ = acos_, asin_, atan_, atan2_
    arccosh_, arcsinh_, arctanh_ = acosh_, asinh_, atanh_
    greater_, greater_equal_, less_, less_equal_, not_equal_ = gt_, ge_, lt_, le_, ne_

    __add__ = arithmetic.plus.operator
    __sub__ = arithmetic.minus.operator
    __mul__ = arithmetic.mul.operator
    __truediv__ = arithmetic.over.operator
    __floordiv__ = arithmetic.floor_divide.operator
    __and__ = compare.bitwise_and.operator
    __or__ = compare.bitwise_or.operator
    __xor__ = compare.bitwise_xor.operator
    __lshift__ = compare.bitwise_left_shift.operator
    __rshift__ = compare.bitwise_right_shift.operator
    __eq__ = compare.eq.operator
    __ne__ = compare.ne.operator
    __lt__ = compare.lt.operator
    __le__ = compare.le.operator
    __gt__ = compare.gt.operator
    __ge__ = compare.ge.operator
    __pow__ = arithmetic.raised
    __mod__ = arithmetic.modulo
    __radd__, __rmul__, __rsub__ = __add__, __mul__, arithmetic.minus_from.operator
    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__
    __rtruediv__ = __rdiv__ = arithmetic.divided_from
    __rfloordiv__ = arithmetic.reflected(arithmetic.floor_divide)
    __rmod__ = arithmetic.reflected(arithmetic.remainder)
    __rpow__ = arithmetic.reflected(arithmetic.pow)
    __rlshift__ = arithmetic.reflected(compare.bitwise_left_shift)
    __rrshift__ = arithmetic.reflected(compare.bitwise_right_shift)
    __neg__ = elementwise.neg
    __pos__ = elementwise.positive
    __abs__ = elementwise.abs
    __invert__ = compare.invert
    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_
    __ifloordiv__, __imod__, __ipow__ = floor_divide_, remainder_, pow_
    __iand__, __ior__, __ixor__ = bitwise_and_, bitwise_or_, bitwise_xor_
    __ilshift__, __irshift__ = bitwise_left_shift_, bitwise_right_shift_

    # ---- activations (ops/activation.py) ----------------------------------------------------------------------------
    hardshrink = activation.hardshrink
    prelu = activation.prelu
    relu = activation.relu
    relu_ = in_place(activation.relu)

    # ---- reductions (ops/reduce.py) ----------------------------------------------------------------------------------
    all = truth.all
    amax = reduce.amax
    amin = reduce.amin
    aminmax = reduce.aminmax
    any = truth.any
    argmax = reduce.argmax
    argmin = reduce.argmin
    count_nonzero = truth.count_nonzero
    dist = distance.dist
    max = reduce.max
    mean = reduce.mean
    min = reduce.min
    nanmean = reduce.nanmean
    nansum = reduce.nansum
    norm = distance.norm
    prod = reduce.prod
    renorm = distance.renorm
    sum = reduce.sum
    corrcoef = variance.corrcoef
    cov = variance.cov
    std = variance.std
    var = variance.var
    log_softmax = softmax.log_softmax
    logcumsumexp = softmax.logcumsumexp
    logsumexp = softmax.logsumexp
    softmax = softmax.softmax
    cummax = cumulative.cummax
    cummin = cumulative.cummin
    cumprod = cumulative.cumprod
    cumsum = cumulative.cumsum
    diff = cumulative.diff
    cumsum_ = in_place(cumulative.cumsum)
    cumprod_ = in_place(cumulative.cumprod)
    renorm_ = in_place(distance.renorm, composite=True)

    # ---- sorting and searching (ops/order.py) -------------------------------------------------------------------------
    argsort = order.argsort
    bincount = histogram_of.bincount
    histc = histogram_of.histc
    histogram = histogram_of.histogram
    hash_tensor = segment.hash_tensor
    nonzero_static = masks.nonzero_static
    kthvalue = order.kthvalue
    median = order.median
    mode = order.mode
    msort = order.msort
    nanmedian = order.nanmedian
    nanquantile = order.nanquantile
    quantile = order.quantile
    sort = order.sort
    topk = order.topk
    unique = order.unique
    unique_consecutive = order.unique_consecutive

    # ---- shapes and views (ops/shape.py) -------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return tuple.__new__(Size, self._array.shape)

    @property
    def _base(self) -> Any:
        """The tensor whose memory this one is a view of; None if it is none."""
        return None if self._view is None else self._view.base

    def _is_view(self) -> Any:
        """Whether autograd knows this tensor as a view of another."""
        return self._view is not None

    T = property(shapes.numpy_T)
    mT = property(shapes.matrix_T)
    H = property(shapes.hermitian)
    mH = property(shapes.matrix_H)
    size = strides.size
    stride = strides.stride
    numel = shapes.numel
    nelement = shapes.numel
    dim = strides.dim
    ndimension = strides.dim
    element_size = strides.element_size
    storage_offset = strides.storage_offset
    data_ptr = strides.data_ptr
    untyped_storage = storages.untyped_storage
    storage = storages.storage
    _typed_storage = storages.typed_storage
    storage_type = storages.storage_type
    set_ = storages.set_
    get_device = storages.get_device
    volatile = storages.volatile
    is_contiguous = strides.is_contiguous
    is_set_to = strides.is_set_to
    adjoint = shapes.adjoint
    as_strided = strides.as_strided
    as_strided_ = strides.as_strided_
    as_strided_scatter = strides.as_strided_scatter
    broadcast_to = shapes.broadcast_to
    chunk = parts.chunk
    clone = shapes.clone
    contiguous = shapes.contiguous
    diag = join.diag
    diag_embed = join.diag_embed
    diagflat = join.diagflat
    diagonal = shapes.diagonal
    diagonal_scatter = copies.diagonal_scatter
    dsplit = parts.dsplit
    expand = shapes.expand
    expand_as = shapes.expand_as
    flatten = shapes.flatten
    flip = join.flip
    fliplr = join.fliplr
    flipud = join.flipud
    hsplit = parts.hsplit
    moveaxis = shapes.movedim
    movedim = shapes.movedim
    narrow = shapes.narrow
    narrow_copy = copies.narrow_copy
    permute = shapes.permute
    ravel = shapes.ravel
    resize_ = memory_.resize_
    resize_as_ = memory_.resize_as_
    repeat = join.repeat
    repeat_interleave = join.repeat_interleave
    reshape = shapes.reshape
    reshape_as = shapes.reshape_as
    roll = join.roll
    rot90 = join.rot90
    select = shapes.select
    select_scatter = copies.select_scatter
    slice_scatter = copies.slice_scatter
    split = parts.split_tensor
    split_with_sizes = parts.split_with_sizes
    squeeze = shapes.squeeze
    squeeze_ = strides.squeeze_
    swapaxes = shapes.swapaxes
    swapaxes_ = strides.transpose_
    swapdims = shapes.swapdims
    swapdims_ = strides.transpose_
    sum_to_size = memory_.sum_to_size
    t = shapes.t
    t_ = strides.t_
    tensor_split = parts.tensor_split
    tile = join.tile
    transpose = shapes.transpose
    transpose_ = strides.transpose_
    tril = join.tril
    tril_ = in_place(join.tril)
    triu = join.triu
    triu_ = in_place(join.triu)
    unbind = parts.unbind
    unflatten = shapes.unflatten
    unsafe_chunk = parts.unsafe_chunk
    unsafe_split = parts.unsafe_split
    unsafe_split_with_sizes = parts.unsafe_split_with_sizes
    unfold = shapes.unfold
    unsqueeze = shapes.unsqueeze
    unsqueeze_ = strides.unsqueeze_
    view = shapes.view
    view_as = shapes.view_as
    vsplit = parts.vsplit

    # ---- indexing (ops/index.py) -----------------------------------------------------------------------------------------
    __getitem__ = getitem.getitem
    __setitem__ = getitem.setitem
    argwhere = masks.argwhere
    copy_ = getitem.copy_
    fill_ = getitem.fill_
    fill_diagonal_ = storages.fill_diagonal_
    zero_ = getitem.zero_
    gather = index.gather
    index_add = index.index_add
    index_add_ = in_place(index.index_add)
    index_copy = index.index_copy
    index_copy_ = in_place(index.index_copy)
    index_fill = index.index_fill
    index_fill_ = in_place(index.index_fill)
    index_put = getitem.index_put
    index_put_ = getitem.index_put_
    index_reduce = slice_reductions.index_reduce
    index_reduce_ = in_place(slice_reductions.index_reduce)
    index_select = index.index_select
    masked_fill = masks.masked_fill
    masked_fill_ = in_place(masks.masked_fill)
    masked_scatter = masks.masked_scatter
    masked_scatter_ = in_place(masks.masked_scatter)
    masked_select = masks.masked_select
    nonzero = masks.nonzero
    put = masks.put
    put_ = in_place(masks.put)
    scatter = index.scatter
    scatter_ = in_place(index.scatter)
    scatter_add = index.scatter_add
    scatter_add_ = in_place(index.scatter_add)
    scatter_reduce = slice_reductions.scatter_reduce
    scatter_reduce_ = in_place(slice_reductions.scatter_reduce)
    take = masks.take
    take_along_dim = index.take_along_dim

    # ---- linear algebra (ops/linalg.py) ------------------------------------------------------------------------------------
    addbmm = sums.addbmm
    addmm = sums.addmm
    addmv = sums.addmv
    addr = sums.addr
    baddbmm = sums.baddbmm
    bmm = linalg.bmm
    dot = linalg.dot
    ger = linalg.ger
    inner = linalg.inner
    matmul = linalg.matmul
    mm = linalg.mm
    mv = linalg.mv
    outer = linalg.outer
    vdot = linalg.vdot
    cholesky = factor.cholesky
    cholesky_inverse = solve.cholesky_inverse
    cholesky_solve = solve.cholesky_solve
    geqrf = reflections.geqrf
    lu = lu_.lu
    lu_solve = lu_.lu_solve
    orgqr = reflections.orgqr
    ormqr = reflections.ormqr
    triangular_solve = solve.triangular_solve
    cross = measure.cross
    det = solve.det
    inverse = solve.inverse
    kron = contractions.kron
    logdet = solve.logdet
    matrix_exp = solve.matrix_exp
    matrix_power = contractions.matrix_power
    pinverse = solve.pinverse
    qr = reflections.qr
    slogdet = solve.slogdet
    svd = factor.svd
    trace = contractions.trace
    addbmm_ = sums.addbmm_
    addmm_ = in_place(sums.addmm)
    addmv_ = in_place(sums.addmv)
    addr_ = in_place(sums.addr, composite=True)
    baddbmm_ = in_place(sums.baddbmm)
    __matmul__ = linalg.matmul_operator
    __rmatmul__ = linalg.matmul_reflected

    # ---- creation, types, conversion (ops/create.py, ops/convert.py) -----------------------------------------------------------
    to = convert.to
    float = convert.float_
    double = convert.double
    half = convert.half
    bfloat16 = convert.bfloat16_
    long = convert.long
    int = convert.int_
    short = convert.short
    char = convert.char
    byte = convert.byte
    bool = convert.bool__
    cfloat = convert.cfloat
    cdouble = convert.cdouble
    chalf = convert.chalf
    type = convert.type_
    type_as = convert.type_as
    cpu = convert.cpu
    cuda = convert.cuda
    item = convert.item
    tolist = convert.tolist
    numpy = convert.numpy
    new = legacy.new
    share_memory_, is_shared = storages.share_memory_, storages.is_shared
    apply_, map_, to_dense, as_subclass = bygone.apply_, bygone.map_, bygone.to_dense, bygone.as_subclass
    new_tensor = convert.new_tensor
    new_zeros = convert.new_zeros
    new_ones = convert.new_ones
    new_empty = convert.new_empty
    new_empty_strided = memory_.new_empty_strided
    new_full = convert.new_full
    __bool__ = convert.to_bool
    __float__ = convert.to_float
    __int__ = convert.to_int
    __complex__ = convert.to_complex
    __index__ = convert.to_index
    __format__ = convert.format_
    __len__ = convert.length
    __iter__ = convert.iterate
    __contains__ = convert.contains
    __array__ = convert.array
    __array_wrap__ = convert.array_wrap
    __dlpack__ = convert.dlpack
    __dlpack_device__ = convert.dlpack_device
    __deepcopy__ = convert.deepcopy
    __reduce_ex__ = convert.reduce_ex

    # ---- random numbers (ops/sampling.py, fills.py) ----------------------------------------------------------------------------
    bernoulli = sampling.bernoulli
    bernoulli_ = fills.bernoulli_
    cauchy_ = fills.cauchy_
    exponential_ = fills.exponential_
    geometric_ = fills.geometric_
    log_normal_ = fills.log_normal_
    multinomial = sampling.multinomial
    normal_ = fills.normal_
    random_ = fills.random_
    uniform_ = fills.uniform_

    # ---- removed: errors that say what to call (ops/bygone.py; last, since these names hide modules) ----------------------------
    eig, symeig, solve, lstsq = bygone.eig, bygone.symeig, bygone.solve, bygone.lstsq
    reinforce = bygone.reinforce


classes.tensor = Tensor
vocabulary.install()
