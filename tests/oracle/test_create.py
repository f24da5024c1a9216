"""New tensors against PyTorch's: from data, filled, from ranges."""

import pytest
from outcome import same

DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
).split()
NUMPY_DTYPES = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()

DATA = [
    "1", "-1", "True", "1.5", "2 + 1j", "math.nan", "math.inf", "[]", "[[]]", "[[], []]", "()", "[1, 2]", "(1, 2)",
    "[1, 2.5]", "[True, 2]", "[True, False]", "[1, 2j]", "[1.5, 2j]", "[True, 1.5]", "[[1, 2], [3, 4]]", "[(1, 2), [3, 4]]",
    "[[1], [2.5]]", "[[[1]]]", "range(4)", "[range(2), range(2)]", "2**63 - 1", "-2**63", "2**63", "-2**63 - 1", "[2**63]",
    "[1, 2**70]", "[1.0, 2**70]", "2**70", "[math.nan, 1]", "'abc'", "['a']", "None", "[None]", "[1, None]", "[[1], None]",
    "[[1, 2], [3]]", "[[1, 2], 3]", "[1, [2, 3]]", "[[1], [2], [3, 4]]", "[[[1], [2]], [[3]]]", "{}", "{1: 2}", "{1, 2}",
    "object()", "b'ab'", "bytearray(b'ab')", "b''", "np.float32(1.5)", "np.float64(1.5)", "np.float16(1.5)", "np.int8(3)",
    "np.int64(3)", "np.bool_(True)", "np.complex64(1j)", "np.uint16(3)", "[np.float32(1.5)]", "[np.float64(1.5), 2]",
    "[np.int32(1)]", "[np.int32(1), 2.5]", "[np.bool_(True)]", "[np.complex64(1j)]", "np.array([1, 2])", "np.array(1.5)",
    "np.array([[1.5]], dtype=np.float32)", "[np.array([1, 2]), np.array([3, 4])]", "[np.array(1.5), np.array(2.5)]",
    "[np.array([1.5], dtype=np.float32)]", "np.array(['a'])", "np.array([None])", "np.array([1, 2], dtype='>i4')",
    "np.zeros((0, 3))", "np.arange(6).reshape(2, 3).T", "np.arange(4)[::-1]", "[t.tensor(1), t.tensor(2)]",
    "[t.tensor(1.5), 2]", "[t.tensor([1]), t.tensor([2])]", "[t.tensor([1, 2]), t.tensor([3, 4])]", "[t.tensor(True)]",
    "[t.tensor(1, dtype=t.int8)]", "[t.tensor(1.5, dtype=t.float64)]", "[t.tensor(1.5, requires_grad=True)]",
    "[[t.tensor(1.5), 1], [2, 3]]", "t.tensor([1.5])", "t.tensor(2)", "t.tensor([1., 2.], requires_grad=True)",
    "[t.tensor([1.5]), 2]", "lambda: 1", "map(int, [1])", "[[1, 2], [3, 4.5]]", "[1e40]", "1e400", "[-0.0]",
]  # fmt: skip


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("how", ["tensor", "as_tensor", "asarray"])
def test_data(how, data):
    same(f"t.{how}({data})", warned=how == "tensor")


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int32", "int64", "float16", "bfloat16", "float64", "complex64"]
)
@pytest.mark.parametrize(
    "data",
    ["1", "-1", "300", "2.7", "-2.7", "True", "1j", "1 + 0j", "math.nan", "math.inf", "-math.inf", "1e10", "1e40", "2**40", "2**64",
     "[]", "[1, 2]", "[1.5, 0.0]", "[-1]", "[300]", "[2**40]", "[2**64]", "[1j]", "[math.nan]", "[1e10]", "[1e40]", "np.array([1.7, -300.0])",
     "np.array([300, -1])", "np.array([1 + 2j])", "[t.tensor(1.7)]", "np.float64(2.7)"],
)  # fmt: skip
def test_data_in_a_type(data, dtype):
    same(f"t.tensor({data}, dtype=t.{dtype})")


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_arrays_of_every_type(dtype):
    scalars = (
        ("t.tensor(a[0])", "t.tensor([a[0]])") if dtype != "uint64" else ()
    )  # which PyTorch fails to read
    for make in ("t.tensor(a)", "t.as_tensor(a)", "t.asarray(a)", "t.from_numpy(a)", *scalars):
        same(f"a = np.array([0, 1, 3]).astype('{dtype}'); {make}")


@pytest.mark.parametrize(
    "program",
    [
        "t.tensor()", "t.tensor(1, dtype=np.float32)", "t.tensor(1, dtype='float32')", "t.tensor(1, dtype=float)",
        "t.tensor([1], dtype=int)", "t.tensor([1], dtype=bool)", "t.tensor([1], dtype=complex)", "t.tensor(1, requires_grad=True)",
        "t.tensor([1, 2], requires_grad=True)", "t.tensor(1.0, requires_grad=True)", "t.tensor(1j, requires_grad=True)",
        "t.tensor([1.0], device='cpu')", "t.tensor([1.0], device=t.device('cpu'))", "t.tensor([1.0], device='nonsense')",
        "t.tensor([1.0], device='cpu:0').device", "t.tensor(data=[1, 2])", "t.tensor([1], bad=1)",
        "a = np.zeros(2); x = t.tensor(a); a[0] = 1; x", "a = np.zeros(2); x = t.as_tensor(a); a[0] = 1; x",
        "a = np.zeros(2); x = t.as_tensor(a, dtype=t.float32); a[0] = 1; x", "a = np.zeros(2); x = t.asarray(a); a[0] = 1; x",
        "a = np.zeros(2); x = t.asarray(a, copy=True); a[0] = 1; x", "x = t.zeros(2); t.as_tensor(x) is x", "x = t.zeros(2); t.asarray(x) is x",
        "x = t.zeros(2); t.asarray(x, copy=True) is x", "t.asarray([1], copy=False)", "t.asarray([1.0, 2.0], requires_grad=True)",
        "t.asarray(np.zeros(2), dtype=t.int32, copy=False)", "x = t.ones(2, requires_grad=True); t.as_tensor(x) is x",
        "x = t.ones(2, requires_grad=True); t.asarray(x)", "x = t.ones(2, requires_grad=True); t.as_tensor(x, dtype=t.float64)",
        "a = np.zeros(3); x = t.from_numpy(a); x[1] = 5; a", "t.from_numpy(np.arange(4)[::-1])", "t.from_numpy(np.arange(6).reshape(2, 3).T).stride()",
        "t.from_numpy(np.arange(6)[::2])", "t.from_numpy([1])", "t.from_numpy(1.0)", "t.from_numpy(np.float32(1))", "t.from_numpy(np.array(1.5))",
        "t.from_numpy(np.array(['a']))", "t.from_numpy(np.array([None]))", "t.from_numpy(np.array([1], dtype='>i4'))",
        "t.from_numpy(np.zeros(3, dtype='M8[s]'))", "t.from_numpy(np.zeros(0))", "t.from_numpy(np.broadcast_to(np.ones(1), (3,)).copy())",
        "t.from_numpy(np.longdouble([1]))", "t.from_numpy(None)", "t.as_tensor(np.arange(4)[::-1])",
    ],
)  # fmt: skip
def test_options_and_sharing(program):
    same(program)


@pytest.mark.parametrize("make", ["t.from_numpy(a)", "t.as_tensor(a)", "t.asarray(a)"])
def test_read_only_array_warns(make):
    same(f"a = np.zeros(2); a.flags.writeable = False; {make}", warned=True)


@pytest.mark.parametrize(
    "program",
    [
        "b = bytearray(8); x = t.frombuffer(b, dtype=t.int32); x[0] = 7; bytes(b)", "t.frombuffer(bytearray(b'abcd'), dtype=t.uint8)",
        "t.frombuffer(bytearray(8), dtype=t.int16, count=2)", "t.frombuffer(bytearray(8), dtype=t.int16, offset=2)",
        "t.frombuffer(bytearray(8), dtype=t.int16, count=2, offset=4)", "t.frombuffer(bytearray(8), dtype=t.float32, requires_grad=True)",
        "t.frombuffer(bytearray(0), dtype=t.uint8)", "t.frombuffer(bytearray(8), dtype=t.uint8, count=0)",
        "t.frombuffer(bytearray(8), dtype=t.uint8, offset=8)", "t.frombuffer(bytearray(8), dtype=t.uint8, offset=-1)",
        "t.frombuffer(bytearray(7), dtype=t.int32)", "t.frombuffer(bytearray(8), dtype=t.int32, count=3)", "t.frombuffer(bytearray(8))",
        "t.frombuffer(1, dtype=t.uint8)", "t.frombuffer([1], dtype=t.uint8)", "t.frombuffer(bytearray(8), dtype=t.bool)",
        "t.frombuffer(bytearray(8), dtype=t.bfloat16)", "t.frombuffer(np.arange(3), dtype=t.int64)",
        "t.from_dlpack(np.arange(3))", "a = np.zeros(3); x = t.from_dlpack(a); x[0] = 1; a", "t.from_dlpack(np.arange(6.).reshape(2, 3).T)",
        "t.from_dlpack(t.arange(3))", "x = t.zeros(3); y = t.from_dlpack(x); y[0] = 1; x", "t.from_dlpack(np.array([True]))",
        "t.utils.dlpack.from_dlpack(np.arange(3))", "np.from_dlpack(t.arange(3))", "t.from_dlpack(t.ones(2, requires_grad=True))",
        "np.from_dlpack(t.ones(2, requires_grad=True))", "t.zeros(2).__dlpack_device__()[1]", "t.from_dlpack([1])",
    ],
)  # fmt: skip
def test_buffers_and_dlpack(program):
    same(program)


FILLED = ["zeros", "ones"]
SIZES = ["2, 3", "(2, 3)", "[2, 3]", "()", "", "0", "2, 0", "t.Size([2])", "5", "size=(2, 3)", "2, 3, dtype=t.int32", "2, dtype=t.bool",
         "2, dtype=float", "2, requires_grad=True", "2, dtype=t.int64, requires_grad=True", "-1", "2, -3", "(2, -3)", "1.5", "'a'",
         "None", "(2, 'a')", "(2, 1.5)", "2, 'a'", "2, dtype='x'", "2, device='cpu'", "2, bad=1", "t.tensor(2)", "np.int64(2)", "True",
         "2, out=t.empty(2)", "2, out=t.empty(2, dtype=t.int64)", "2, dtype=t.complex64", "2, dtype=t.bfloat16", "(2, t.tensor(3))",
         "2, out=t.empty(2), dtype=t.int32", "2, layout=t.strided", "2, pin_memory=False"]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FILLED)
def test_filled(name, size):
    same(f"t.{name}({size})")


@pytest.mark.parametrize("size", [s for s in SIZES if "=" not in s] + ["2, dtype=t.int8"])
def test_empty(size):
    same(f"x = t.empty({size}); (x.shape, x.dtype, x.stride())")


@pytest.mark.parametrize(
    "program",
    [
        "t.full((2,), 1)", "t.full((2,), 1.5)", "t.full((2,), True)", "t.full((2,), 1j)", "t.full((), 7)", "t.full([2, 2], 3, dtype=t.float64)",
        "t.full((2,), 1.5, dtype=t.int32)", "t.full((2,), 300, dtype=t.uint8)", "t.full((2,), -1, dtype=t.uint8)", "t.full((2,), t.tensor(3))",
        "t.full((2,), t.tensor(3.5))", "t.full((2,), math.nan)", "t.full((2,), math.inf, dtype=t.int32)", "t.full(2, 1)", "t.full((2,))",
        "t.full((2,), 'a')", "t.full((-2,), 1)", "t.full((2,), 1.0, requires_grad=True)", "t.full((2,), 2, dtype=t.bool)", "t.full((2,), 1j, dtype=t.float32)",
        "t.full(size=(2,), fill_value=3)", "t.full((2,), 2**40, dtype=t.int32)", "t.full((2,), [1])", "t.full((2,), 1, out=t.empty(2))",
        "t.full((2,), np.float32(1.5))", "t.full((2,), 1e40)",
        "t.full_like(t.zeros(2, 3), 4)", "t.full_like(t.zeros(2, dtype=t.int32), 4.7)", "t.full_like(t.zeros(2), 4, dtype=t.int64)", "t.full_like([1], 1)",
        "t.full_like(t.zeros(2), 1.5, requires_grad=True)", "t.full_like(t.zeros(2), t.tensor(3.0))",
        "t.zeros_like(t.ones(2, 3))", "t.ones_like(t.zeros(2, dtype=t.int8))", "t.zeros_like(t.ones(2), dtype=t.bool)", "t.zeros_like([1])",
        "t.ones_like(t.zeros(2, 3).T).stride()", "t.zeros_like(t.zeros(2, 3, 4).permute(2, 0, 1)).stride()", "t.zeros_like(t.zeros(4, 4)[::2]).stride()",
        "t.zeros_like(t.zeros(1, 3).expand(2, 3)).stride()", "t.ones_like(t.ones(2, requires_grad=True))", "t.ones_like(t.ones(2), requires_grad=True)",
        "t.zeros_like(t.zeros(2, 3).T, memory_format=t.contiguous_format).stride()", "t.zeros_like(t.zeros(2, 3).T, memory_format=t.preserve_format).stride()",
        "x = t.empty_like(t.zeros(2, 3).T); (x.shape, x.stride())", "t.zeros_like(t.zeros(3)[::2]).stride()", "t.ones_like(1.0)",
        "t.zeros(2).new_zeros(3)", "t.zeros(2, dtype=t.int8).new_ones(2, 3)", "t.zeros(2).new_full((2,), 7)", "t.zeros(2, dtype=t.int32).new_full((2,), 7.5)",
        "t.zeros(2).new_tensor([1, 2])", "t.zeros(2, dtype=t.int32).new_tensor([1.5, 2])", "t.zeros(2).new_tensor([1, 2], dtype=t.int64)",
        "t.zeros(2).new_zeros((2, 2), dtype=t.float64)", "t.zeros(2).new_ones(2, requires_grad=True)", "t.zeros(2).new_empty(3).shape", "t.zeros(2).new_zeros(size=(2,))",
        "t.zeros(2).new_full((2,), 7, dtype=t.int64)", "t.zeros(2).new(2, 3).shape", "t.zeros(2).new([1, 2])", "t.zeros(2).new_tensor(1.0, requires_grad=True)", "t.zeros(2).new_tensor(t.ones(2))",
        "t.zeros(2).new_zeros(-1)", "t.zeros(2, dtype=t.bool).new_tensor([2, 0])",
        "t.scalar_tensor(3)", "t.scalar_tensor(3, dtype=t.int64)", "t.scalar_tensor(True)", "t.empty_strided((2, 3), (1, 2)).stride()", "t.empty_strided((2,), (1, 2))",
        "t.eye(3)", "t.eye(2, 3)", "t.eye(3, 2, dtype=t.int64)", "t.eye(0)", "t.eye(-1)", "t.eye(2, -1)", "t.eye(2, dtype=t.bool)", "t.eye(2, dtype=t.bfloat16)", "t.eye(2.5)", "t.eye('a')",
        "t.eye(2, requires_grad=True)", "t.eye(2, out=t.zeros(3))", "t.eye(2, dtype=t.complex64)",
        "t.Tensor([1, 2])", "t.Tensor(2, 3).shape", "t.Tensor()", "t.Tensor([])", "t.Tensor((1, 2))", "t.Tensor([True])", "t.Tensor(np.array([1, 2]))", "t.Tensor(t.tensor([1.0]))",
        "t.FloatTensor([1, 2])", "t.LongTensor([1, 2])", "t.DoubleTensor([1])", "t.IntTensor([1])", "t.BoolTensor([1, 0])", "t.ByteTensor([1])", "t.LongTensor([1.5])", "t.FloatTensor(2, 2).shape",
        "t.Tensor(t.Size([2, 2])).shape", "t.Tensor(1.5)", "t.LongTensor(3).dtype", "isinstance(t.ones(1), t.FloatTensor)", "isinstance(t.ones(1), t.LongTensor)", "isinstance(t.ones(1), t.Tensor)",
    ],
)  # fmt: skip
def test_filled_and_like(program):
    same(program)


@pytest.mark.parametrize("dtype", DTYPES)
def test_filled_of_every_type(dtype):
    for program in (
        "zeros(2, 3, {})",
        "ones(2, {})",
        "full((2,), 1, {})",
        "eye(2, {})",
        "arange(3, {})",
        "linspace(0, 4, 5, {})",
        "logspace(0, 2, 3, 2.0, {})",
    ):
        same("t." + program.format(f"dtype=t.{dtype}"))


@pytest.mark.parametrize(
    "dtype",
    ["", ", dtype=t.float32", ", dtype=t.float64", ", dtype=t.int64", ", dtype=t.float16", ", dtype=t.int8"],
)
@pytest.mark.parametrize(
    "args",
    ["5", "0", "2, 7", "0, 10, 3", "5, 0, -2", "0.5", "1.5, 4.5", "0, 1, 0.1", "0, 1, 0.3", "1, 0, -0.1", "-3, 3, 0.7", "0, 100, 0.01", "1.0",
     "3, 3", "0, 10, 2.5", "1e-3, 1, 1e-3", "10, 0", "0, 10, 0", "0, 10, -1", "True", "0.1, 3.7, 0.07", "0, 1e3, 1.1", "-1", "math.nan", "0, math.inf", "0, 1, math.nan", "0, 7, t.tensor(2)", "t.tensor(3)"],
)  # fmt: skip
def test_arange(args, dtype):
    same(f"t.arange({args}{dtype})")


@pytest.mark.parametrize(
    "program",
    ["t.arange()", "t.arange('a')", "t.arange(1j)", "t.arange(3, dtype=t.bool)", "t.arange(end=4)", "t.arange(1, end=4)", "t.arange(start=1, end=4, step=2)",
     "t.arange(4, requires_grad=True)", "t.arange(4., requires_grad=True)", "t.arange(3, out=t.empty(3))", "t.arange(3, out=t.empty(0, dtype=t.int64))", "t.arange(t.tensor(2.5))",
     "t.arange(2**62, 2**62 + 3)", "t.arange(np.int64(3))", "t.arange(np.float32(2.5))", "t.arange(0, 2**33, 2**32)", "t.arange(None)", "t.arange(2**63)", "t.arange([3])",
     "t.range(0, 4)", "t.range(0, 1, 0.25)", "t.range(1, 0)", "t.range(0, 1, 0.1)",
     "t.linspace(0, 1)", "t.linspace(0, 1, -1)", "t.linspace(0, 1, 2.5)", "t.linspace(0, 1, 0)", "t.linspace(0, 1, 1)", "t.linspace(0, 1j, 3)", "t.linspace(t.tensor(0.), t.tensor(1.), 3)",
     "t.linspace(0, 1, 5, requires_grad=True)", "t.linspace(start=0, end=1, steps=3)", "t.linspace(0, 1, 3, out=t.empty(0))", "t.linspace('a', 1, 2)", "t.linspace(0, 1, t.tensor(3))",
     "t.logspace(0, 1)", "t.logspace(0, 1, -1)", "t.logspace(0, 3, 4, base=2)", "t.logspace(0, 3, 4, 2, dtype=t.int64)", "t.logspace(0, 1, 0)", "t.logspace(0, 1, 1)"],
)  # fmt: skip
def test_ranges(program):
    same(program, warned="range(" in program and "arange" not in program)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "float16", "complex64"])
@pytest.mark.parametrize(
    "args",
    [
        "0, 1, 11",
        "-5, 5, 100",
        "3, 10, 5",
        "0.1, 0.7, 33",
        "10, -10, 7",
        "0, 100, 101",
        "1, 1, 4",
        "-0.3, 1e6, 1000",
        "0, 1, 2",
        "0, 1, 3",
        "5, 2.5, 50",
    ],
)
def test_linspace(args, dtype):
    same(f"t.linspace({args}, dtype=t.{dtype})")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("args", ["0, 1, 11", "-5, 5, 100", "0, 3, 4, 2", "0.1, 0.7, 33", "2, -2, 5, 3.5"])
def test_logspace(args, dtype):
    same(f"t.logspace({args}, dtype=t.{dtype})")
