"""What a person calls an operation: `× 3`, `− 10`, `²`, `relu`."""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from clew.core.primitive import Primitive
from clew.view.data import short

SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "pow": "^", "remainder": "mod", "floor_divide": "//"}
POWERS = {2: "²", 3: "³"}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "−", ast.Mult: "×", ast.Div: "÷", ast.Pow: "^", ast.Mod: "mod", ast.FloorDiv: "//",
    ast.MatMult: "@",
}  # fmt: skip
LONGEST = 12  # characters of a variable's name in a label
PLAIN = {"copy_slices": "write into a part", "kept": "copy", "to_copy": "to", "cholesky": "cholesky"}


def label_of(node: Any, number: Any = None) -> str:
    """The label of a node. `number` is the Python number among its operands, where it is known."""
    primitive = node.primitive
    if not isinstance(primitive, Primitive):
        return node.name().removesuffix("Backward")  # the user's own Function
    name = primitive.name
    if name == "square":
        return "²"
    one_sided = len(node.edges) == 2 and None in node.edges
    if one_sided and (name in SIGNS or name == "rsub"):
        if number is None:
            number = saved_number(node)
        if number is None:
            number = operand_text(node, name)
        if number is not None:
            return _with_number(name, number, node)
    if name == "reciprocal":
        return "1 ÷"
    return PLAIN.get(name, name.lstrip("_").removesuffix("_"))


def _with_number(name: str, number: Any, node: Any) -> str:
    text = number if isinstance(number, str) else short(number)
    if name == "rsub":
        return f"{text} −"
    if name == "pow":
        if node.name() == "PowBackward2":
            return f"{text} ^"
        if not isinstance(number, str) and number in POWERS:
            return POWERS[int(number)]
    return f"{SIGNS[name]} {text}".replace("-", "−")


def saved_number(node: Any) -> Any:
    """The number that an operation on a tensor and a number keeps for its formula."""
    if node.saved.__class__ is not tuple:
        return None
    primitive = node.primitive
    names = {
        primitive.inputs[i] for i, edge in enumerate(node.edges) if edge is None and i < len(primitive.inputs)
    }
    for needs, values in zip(
        primitive.needs, node.saved if not primitive.joint else (node.saved,), strict=False
    ):
        for need, value in zip(needs, values or (), strict=False):
            if need in names and isinstance(value, int | float | complex):
                return value
            if need in names and isinstance(value, np.generic | np.ndarray) and not value.shape:
                return value.item()
    return None


# ---- the source of an operation ----------------------------------------------------------------------------------------
def expression_of(node: Any) -> str:
    """The text of the expression in the user's program that recorded a node, such as `w * 3 - 10`."""
    code, lasti = node.code, node.lasti
    if code is None:
        return ""
    return _segment(code, lasti)


@lru_cache(maxsize=4096)
def _segment(code: Any, lasti: int) -> str:
    line, end, start, stop = next(islice(code.co_positions(), lasti // 2, None), (None,) * 4)
    if line is None or end is None or start is None or stop is None:
        return ""
    lines = [linecache.getline(code.co_filename, n).rstrip("\n") for n in range(line, end + 1)]
    if not lines or not lines[0]:
        return ""
    raw = [text.encode() for text in lines]  # columns count bytes
    raw[-1] = raw[-1][:stop]
    raw[0] = raw[0][start:]
    return "\n".join(part.decode(errors="replace") for part in raw)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def operand_text(node: Any, name: str) -> Any:
    """The operand that is no tensor, as the source says it: a number, or the name of a variable."""
    tree = _parsed(expression_of(node))
    if isinstance(tree, ast.BinOp) and (name == "rsub" or _OPERATORS.get(type(tree.op)) == SIGNS.get(name)):
        index = next(i for i, edge in enumerate(node.edges) if edge is None)
        swapped = name == "rsub" or node.name() == "PowBackward2"
        sides = [tree.left, tree.right]
        plain = [side for side in sides if _number(side) is not None]
        if len(plain) == 1:
            return _number(plain[0])
        side = tree.left if swapped else sides[index]
        if isinstance(side, ast.Name) and len(side.id) <= LONGEST:
            return side.id
    return None


def _number(tree: ast.expr) -> Any:
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _number(tree.operand)
        return None if inner is None else -inner
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float, complex):
        return tree.value
    return None


def name_in_source(node: Any, index: int) -> str:
    """The variable that stands for input `index` of an operator or a call in the source; "" where none does."""
    tree = _parsed(expression_of(node))
    sides: list[ast.expr] = []
    if isinstance(tree, ast.BinOp):
        sides = [tree.left, tree.right]
    elif isinstance(tree, ast.Call):
        sides = list(tree.args)
        if isinstance(tree.func, ast.Attribute) and len(sides) < len(node.edges):
            sides.insert(0, tree.func.value)
    if index < len(sides) and len(sides) >= len(node.edges) and isinstance(sides[index], ast.Name):
        return sides[index].id  # type: ignore[attr-defined]
    return ""
