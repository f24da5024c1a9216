"""The rooms around the tensors that programs touch in passing: flags, autocast, wrappers, testing. Both say the same."""

from __future__ import annotations

import numpy as np
import pytest
from both import collect, same

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _flags_may_be_set(monkeypatch):
    """PyTorch's own test helpers, once imported, forbid to set backends' flags: the module behind `torch.backends`."""
    behind = torch.backends.flags_frozen.__globals__
    monkeypatch.setitem(behind, "__allow_nonbracketed_mutation_flag", True)


def p_flags(t):
    b = t.backends
    b.cudnn.benchmark = True
    found = [
        b.cudnn.benchmark,
        b.cudnn.deterministic,
        b.cudnn.enabled,
        b.cudnn.version(),
        b.cudnn.is_available(),
    ]
    b.cudnn.benchmark = False
    return *found, b.cuda.is_built(), b.mps.is_available(), b.mps.is_built(), b.cuda.matmul.allow_tf32


def p_accelerator(t):
    a = t.accelerator
    return a.is_available(), a.device_count(), a.current_accelerator()


def p_accelerator_index(t):
    t.accelerator.set_device_index(0)


def p_cuda(t):
    c = t.cuda
    return (
        c.is_available(),
        c.device_count(),
        c.memory_allocated(),
        c.is_bf16_supported(),
        c.get_rng_state_all(),
    )


def p_default_device(t):
    t.set_default_device("cpu")
    found = str(t.get_default_device())
    t.set_default_device(
        None
    )  # it would go on as a mode, under which PyTorch leaves its kernel for inference
    return found


def p_default_types(t):
    t.set_default_tensor_type(t.DoubleTensor)
    found = t.ones(1).dtype, t.tensor(1.5).dtype
    t.set_default_tensor_type("torch.FloatTensor")
    return found, t.ones(1).dtype


def p_default_type_integer(t):
    t.set_default_tensor_type("torch.LongTensor")


def p_default_type_cuda(t):
    t.set_default_tensor_type("torch.cuda.FloatTensor")


def p_cuda_tensor(t):
    t.cuda.FloatTensor(2)


def p_precision(t):
    before = t.get_float32_matmul_precision()
    t.set_float32_matmul_precision("high")
    found = before, t.get_float32_matmul_precision()
    t.set_float32_matmul_precision("highest")
    return found


def p_deterministic(t):
    t.use_deterministic_algorithms(True, warn_only=True)
    found = t.are_deterministic_algorithms_enabled(), t.get_deterministic_debug_mode()
    t.use_deterministic_algorithms(False)
    return found, t.get_deterministic_debug_mode()


# ---- autocast ----------------------------------------------------------------------------------------------------------
def p_autocast_state(t):
    found = []
    with t.autocast("cpu"):
        found += [t.is_autocast_enabled(), t.is_autocast_enabled("cpu"), str(t.get_autocast_dtype("cpu"))]
        with t.autocast("cpu", enabled=False):
            found.append(t.is_autocast_enabled("cpu"))
    return found, t.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    "operation",
    [
        "F.linear(x, x)", "x @ x", "t.mm(x, x)", "t.bmm(x[None], x[None])", "x + x", "F.conv1d(x[None], x[..., None])",
        "h.softmax(0)", "F.cross_entropy(h, k)", "F.mse_loss(h, h)", "t.einsum('ij,jk->ik', x, x)",
        "F.scaled_dot_product_attention(x[None], x[None], x[None])", "t.addmm(x, x, x)", "t.mm(x.double(), x.double())",
        "h.sum()", "F.binary_cross_entropy_with_logits(h, h)", "h.prod()", "h.exp()", "F.smooth_l1_loss(h, h)",
        "t.matmul(h, x)", "F.layer_norm(h, (2,))", "h.logsumexp(0)", "t.mv(x, x[0])", "t.dot(x[0], x[0])",
    ],
)  # fmt: skip
def test_autocast_types(operation):
    def program(t):
        x = t.tensor([[0.5, -1.0], [2.0, 1.5]])
        with t.autocast("cpu"):
            made = eval(
                operation, {"t": t, "F": t.nn.functional, "x": x, "h": x.bfloat16(), "k": t.tensor([0, 1])}
            )
        return made.dtype, made.shape, made.float().mul(8).round()

    same(program)


def p_autocast_training(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 1))
    x, y = t.randn(5, 3), t.randn(5, 1)
    with t.autocast("cpu"):
        out = net(x)
        loss = t.nn.functional.mse_loss(out, y)
    loss.backward()
    return out.dtype, loss.dtype, [p.grad.dtype for p in net.parameters()]


def p_autocast_gpu(t):
    with t.autocast("cuda"):
        return (t.ones(2, 2) @ t.ones(2, 2)).dtype


def p_autocast_old(t):
    with t.cuda.amp.autocast():
        return (t.ones(2, 2) @ t.ones(2, 2)).dtype


def p_autocast_wrong_type(t):
    with t.autocast("cpu", dtype=t.float64):
        return (t.ones(2, 2) @ t.ones(2, 2)).dtype


def p_scaler(t):
    w = t.tensor([1.0, 2.0], requires_grad=True)
    optimizer = t.optim.SGD([w], lr=0.1)
    scaler = t.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    found = []
    for factor in (1.0, 2.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale((w**2).sum() * factor).backward()
        scaler.unscale_(optimizer)
        found.append(w.grad.clone())
        scaler.step(optimizer)
        scaler.update()
        found += [w.detach().clone(), scaler.get_scale()]
    return found, scaler.state_dict()


def p_scaler_old(t):
    scaler = t.cuda.amp.GradScaler()
    return scaler.is_enabled(), scaler.scale(3), scaler.get_scale(), scaler.state_dict()


def p_scaler_without_loss(t):
    t.amp.GradScaler("cpu").step(t.optim.SGD([t.ones(1)], lr=0.1))


# ---- wrappers ----------------------------------------------------------------------------------------------------------
def p_data_parallel(t):
    t.manual_seed(0)
    net = t.nn.DataParallel(t.nn.Linear(2, 1))
    return repr(net), list(net.state_dict()), net(t.ones(3, 2))


def p_compiled(t):
    t.manual_seed(0)
    net = t.compile(t.nn.Linear(2, 1), backend="eager")
    double = t.compile(lambda x: x * 2, backend="eager")
    return repr(net), list(net.state_dict()), net(t.ones(3, 2)), double(t.ones(2)), t.compiler.is_compiling()


def p_distributed(t):
    d = t.distributed
    return d.is_available(), d.is_initialized()


def p_distributed_rank(t):
    t.distributed.get_rank()


def p_distributed_module(t):
    t.nn.parallel.DistributedDataParallel(t.nn.Linear(2, 2))


# ---- testing -----------------------------------------------------------------------------------------------------------
PAIRS = {
    "close": lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.0 + 1e-7])),
    "not close": lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.1])),
    "scalars": lambda t: (t.tensor(1.0), t.tensor(1.1)),
    "integers": lambda t: (t.tensor([1, 2]), t.tensor([1, 3])),
    "types": lambda t: (t.tensor([1.0, 2]), t.tensor([1, 3])),
    "shapes": lambda t: (t.tensor([1.0, 2]), t.tensor([1.0])),
    "in a list": lambda t: ([t.tensor([1.0, 2])], [t.tensor([1.0, 3])]),
    "in a dict": lambda t: ({"a": [t.tensor(1.0)]}, {"a": [t.tensor(2.0)]}),
    "keys": lambda t: ({"a": 1}, {"b": 1}),
    "numbers": lambda t: (1.0, 1.1),
    "whole numbers": lambda t: (1, 2),
    "lengths": lambda t: ([1, 2], [1]),
    "strings": lambda t: ("a", "b"),
    "nan": lambda t: (t.tensor([float("nan")]), t.tensor([float("nan")])),
    "booleans": lambda t: (t.tensor([True]), t.tensor([False])),
    "nothing": lambda t: (None, None),
    "float64": lambda t: (t.tensor([1.0], dtype=t.float64), t.tensor([1.0 + 1e-6], dtype=t.float64)),
    "a matrix": lambda t: (t.arange(6.0).reshape(2, 3), t.arange(6.0).reshape(2, 3) * 1.1),
    "arrays": lambda t: (np.ones(2), np.ones(2) * 1.5),
}


@pytest.mark.parametrize("name", PAIRS)
def test_assert_close(name):
    messages = []

    def program(t):
        try:
            t.testing.assert_close(*PAIRS[name](t))
        except Exception as error:
            messages.append(str(error))
            raise

    same(program)
    if messages:
        assert messages[0] == messages[1]


def test_assert_close_told_how():
    same(lambda t: t.testing.assert_close(t.ones(2), t.ones(2) + 0.5, rtol=1, atol=0))
    same(lambda t: t.testing.assert_close(t.ones(2), t.ones(2), rtol=1))
    same(lambda t: t.testing.assert_close(t.ones(2), t.zeros(2), msg="not so"))
    same(lambda t: t.testing.assert_close(t.ones(2), t.ones(2).double(), check_dtype=False))


@collect(globals())
def test_same(program):
    same(program, warned=not program.__name__.startswith("p_default_type"))  # which warns once only
