"""The same steps in JAX, as its users write them: the whole step is one jitted function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]


def jax_lab2() -> Step:
    import jax

    @jax.jit
    def update(w: Any) -> Any:
        loss, slope = jax.value_and_grad(lambda w: (w * 3 - 10) ** 2)(w)
        return w - 0.1 * slope, loss, slope

    w = jax.numpy.float32(2.0)

    def step() -> Any:
        nonlocal w
        w, loss, slope = update(w)
        return float(w), float(loss), float(slope)

    return step


def jax_lab4() -> Step:
    import jax

    x, y = jax.numpy.array([1.0, 2.0, 3.0, 4.0]), jax.numpy.array([3.0, 5.0, 7.0, 9.0])

    @jax.jit
    def update(w: Any, b: Any) -> Any:
        of_w, of_b = jax.grad(lambda w, b: ((w * x + b - y) ** 2).mean(), argnums=(0, 1))(w, b)
        return w - 0.05 * of_w, b - 0.05 * of_b

    w, b = jax.numpy.float32(0.0), jax.numpy.float32(0.0)

    def step() -> Any:
        nonlocal w, b
        w, b = update(w, b)
        return w.block_until_ready()

    return step


def jax_net(sizes: tuple[int, int, int], batch: int, adam: bool, activation: str) -> Step:
    """Two layers; mean squared error and SGD, or cross-entropy and Adam."""
    import jax
    from jax import numpy as jnp

    numbers = np.random.default_rng(0)
    draw = lambda *shape: jnp.array(numbers.standard_normal(shape, dtype=np.float32) * 0.1)  # noqa: E731
    params = [draw(sizes[0], sizes[1]), draw(sizes[1]), draw(sizes[1], sizes[2]), draw(sizes[2])]
    x = draw(batch, sizes[0])
    y = jnp.array(numbers.integers(0, sizes[2], batch)) if adam else draw(batch, sizes[2])
    bend = {"Tanh": jnp.tanh, "ReLU": jax.nn.relu}[activation]

    def loss_of(params: Any) -> Any:
        out = bend(x @ params[0] + params[1]) @ params[2] + params[3]
        if adam:
            return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean()
        return ((out - y) ** 2).mean()

    @jax.jit
    def update(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params)
        if not adam:
            return [p - 0.01 * g for p, g in zip(params, grads)], state, loss
        count, means, squares = state
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads)]
        rate = 1e-3 / (1 - 0.9**count)
        roots = [jnp.sqrt(v / (1 - 0.999**count)) + 1e-8 for v in squares]
        params = [p - rate * m / r for p, m, r in zip(params, means, roots)]
        return params, (count, means, squares), loss

    state = (jnp.float32(0), [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params])

    def step() -> Any:
        nonlocal params, state
        params, state, loss = update(params, state)
        return loss.block_until_ready()

    return step


def adamw(params: Any, grads: Any, state: Any, decay: float) -> tuple[Any, Any]:
    """One step of AdamW with PyTorch's defaults and a rate of 1e-3, over a tree of parameters."""
    import jax
    from jax import numpy as jnp

    count, means, squares = state
    count = count + 1
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, grads)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, grads)
    rate, fix = 1e-3 / (1 - 0.9**count), 1 - 0.999**count

    def one(p: Any, m: Any, v: Any) -> Any:
        return p * (1 - 1e-3 * decay) - rate * m / (jnp.sqrt(v / fix) + 1e-8)

    return jax.tree.map(one, params, means, squares), (count, means, squares)


def trained(loss_of: Callable[[Any], Any], params: Any, decay: float = 0.0) -> Step:
    """The training step of a loss with Adam."""
    import jax
    from jax import numpy as jnp

    @jax.jit
    def update(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params)
        return (*adamw(params, grads, state, decay), loss)

    zeros = jax.tree.map(jnp.zeros_like, params)
    state = (jnp.float32(0), zeros, zeros)

    def step() -> Any:
        nonlocal params, state
        params, state, loss = update(params, state)
        return loss.block_until_ready()

    return step


def cross_entropy(logits: Any, labels: Any) -> Any:
    import jax
    from jax import numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()


def drawer() -> Callable[..., Any]:
    from jax import numpy as jnp

    numbers = np.random.default_rng(0)
    return lambda *shape: jnp.array(numbers.standard_normal(shape, dtype=np.float32) * 0.05)


def jax_gpt(layers: int, width: int, context: int, batch: int, vocabulary: int = 65) -> Step:
    import jax
    from jax import numpy as jnp

    draw = drawer()
    norm = lambda: (jnp.ones(width), jnp.zeros(width))  # noqa: E731
    linear = lambda a, b: (draw(a, b), jnp.zeros(b))  # noqa: E731
    blocks = [
        {
            "ln1": norm(), "qkv": linear(width, 3 * width), "proj": linear(width, width), "ln2": norm(),
            "up": linear(width, 4 * width), "down": linear(4 * width, width),
        }
        for _ in range(layers)
    ]  # fmt: skip
    params = {
        "tokens": draw(vocabulary, width), "places": draw(context, width), "blocks": blocks, "ln": norm(),
        "head": draw(width, vocabulary),
    }  # fmt: skip
    text = jnp.array(np.random.default_rng(0).integers(0, vocabulary, (batch, context + 1)))
    mask = jnp.tril(jnp.ones((context, context), bool))

    def normed(x: Any, ln: Any) -> Any:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(var + 1e-5) * ln[0] + ln[1]

    def attention(x: Any, p: Any) -> Any:
        parts = jnp.split(x @ p["qkv"][0] + p["qkv"][1], 3, axis=-1)
        q, k, v = (part.reshape(batch, context, 4, width // 4).transpose(0, 2, 1, 3) for part in parts)
        scores = jnp.where(mask, q @ k.swapaxes(-1, -2) * (width // 4) ** -0.5, -jnp.inf)
        y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, context, width)
        return y @ p["proj"][0] + p["proj"][1]

    def loss_of(params: Any) -> Any:
        x = params["tokens"][text[:, :-1]] + params["places"]
        for p in params["blocks"]:
            x = x + attention(normed(x, p["ln1"]), p)
            h = jax.nn.gelu(normed(x, p["ln2"]) @ p["up"][0] + p["up"][1], approximate=False)
            x = x + h @ p["down"][0] + p["down"][1]
        return cross_entropy(normed(x, params["ln"]) @ params["head"], text[:, 1:])

    return trained(loss_of, params, 0.01)


def jax_lstm() -> Step:
    import jax
    from jax import numpy as jnp

    draw = drawer()
    params = [draw(64, 256), draw(64, 256), draw(256), draw(64, 10), draw(10)]
    x, labels = draw(32, 32, 64), jnp.array(np.random.default_rng(0).integers(0, 10, 32))

    def loss_of(params: Any) -> Any:
        w, u, b, head, bias = params

        def one(state: Any, gates: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(gates + h @ u, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        start = jnp.zeros((32, 64)), jnp.zeros((32, 64))
        (h, _), _ = jax.lax.scan(one, start, (x @ w + b).swapaxes(0, 1))
        return cross_entropy(h @ head + bias, labels)

    return trained(loss_of, params)


def jax_cnn() -> Step:
    import jax
    from jax import numpy as jnp

    draw = drawer()
    params = [draw(16, 1, 3, 3), draw(16), draw(32, 16, 3, 3), draw(32), draw(32 * 49, 10), draw(10)]
    x, labels = draw(64, 1, 28, 28), jnp.array(np.random.default_rng(0).integers(0, 10, 64))

    def layer(x: Any, w: Any, b: Any) -> Any:
        y = jax.nn.relu(jax.lax.conv(x, w, (1, 1), "SAME") + b[:, None, None])
        return jax.lax.reduce_window(y, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss_of(params: Any) -> Any:
        y = layer(layer(x, *params[:2]), *params[2:4])
        return cross_entropy(y.reshape(64, -1) @ params[4] + params[5], labels)

    @jax.jit
    def update(params: Any, speeds: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params)
        speeds = [0.9 * s + g for s, g in zip(speeds, grads)]
        return [p - 0.01 * s for p, s in zip(params, speeds)], speeds, loss

    speeds = [jnp.zeros_like(p) for p in params]

    def step() -> Any:
        nonlocal params, speeds
        params, speeds, loss = update(params, speeds)
        return loss.block_until_ready()

    return step


def jax_chain(formula: Callable[[Any, Any, Any], Any], x: np.ndarray, y: np.ndarray) -> Step:
    """A loss of x and y, and its gradient by x. formula: of JAX's NumPy, x and y."""
    import jax
    from jax import numpy as jnp

    run = jax.jit(jax.value_and_grad(lambda x, y: formula(jnp, x, y)))
    x, y = jnp.array(x), jnp.array(y)
    return lambda: jax.block_until_ready(run(x, y))


def jax_adam(x: np.ndarray, g: np.ndarray) -> Step:
    """Adam's step alone."""
    import jax
    from jax import numpy as jnp

    update = jax.jit(lambda p, g, s: adamw(p, g, s, 0.0))
    p, grads = jnp.array(x), jnp.array(g)
    state = (jnp.float32(0), jnp.zeros_like(p), jnp.zeros_like(p))

    def step() -> Any:
        nonlocal p, state
        p, state = update(p, grads, state)
        return p.block_until_ready()

    return step
