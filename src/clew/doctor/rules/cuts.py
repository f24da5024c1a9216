"""Values cut from the graph where the loss needed them: `detach`, NumPy, whole numbers, copies.

A cut is nothing wrong in itself: programs log, measure accuracy and stop gradients on purpose. It is a mistake where a
parameter that is to be trained has no other way to the loss, where the loss itself was cut off, and where `backward` fails
for want of a graph.
"""

from __future__ import annotations

from typing import Any, ClassVar

from clew.core.node import AccumulateGrad
from clew.core.variable import Variable
from clew.doctor.events import NO_GRAPH, Backward, Cut, Leaf, Rule, how_many, names, shown

DETACHED = ("detach", "data")
NUMPY = ("numpy", "array")
NUMBERS = ("item", "tolist", "float")
COPIES = ("tensor", "as_tensor", "from_numpy", "copy", *NUMBERS)
WHOLE = (
    "argmax",
    "argmin",
    "argsort",
    "long",
    "int",
    "short",
    "bool",
    "byte",
    "gt",
    "lt",
    "ge",
    "le",
    "eq",
    "ne",
)
ORDER = ("from_numpy", "as_tensor", "tensor", *NUMPY, *DETACHED, *WHOLE, "copy", *NUMBERS)


def worst(cuts: list[Cut]) -> Cut | None:
    """The cut that most likely is the one: first those that the program went on to compute with, then by kind."""
    return min(reversed(cuts), key=lambda cut: (not cut.entered, ORDER.index(cut.kind)), default=None)


def blamed(watch: Any, leaf: Leaf) -> Cut | None:
    """Why no backward pass came to a leaf."""
    quiet = (*NUMBERS, "copy")  # what every program does to print and to measure
    return worst([c for c in watch.cuts if c.mask & leaf.bit and (c.entered or c.kind not in quiet)])


def recent(watch: Any, passes: int) -> Cut | None:
    """The likely cut among those since a backward pass."""
    return worst([c for c in watch.cuts if c.backwards == passes and c.kind not in NUMBERS])


def cut_before_failure(watch: Any, frames: list[Any]) -> Cut | None:
    """What cut off the tensor that `backward` was called on."""
    for frame in reversed(frames):
        for value in (frame.f_locals.get("self"), frame.f_locals.get("tensors")):
            if isinstance(value, Variable):
                return watch.origin(value) or recent(watch, watch.seen["backward passes"])
    return recent(watch, watch.seen["backward passes"])


def cut_root(watch: Any, event: Backward) -> Cut | None:
    """What cut off a loss that is a leaf itself."""
    for root in event.roots:
        if not isinstance(root, AccumulateGrad):
            return None
    owner = event.roots[0].owner()  # type: ignore[attr-defined]
    return watch.origin(owner) or recent(watch, event.number - 1)


class _Cutting(Rule):
    """The three ways in which a cut of some kinds shows as a mistake."""

    kinds: ClassVar[tuple[str, ...]]

    def before_backward(self, event: Backward) -> None:
        cut = cut_root(self.watch, event)
        if cut is not None and cut.kind in self.kinds:
            cut_off = self._cut_off(cut)
            self.found(
                cut.place,
                f"backward() on {shown(event.place)} starts at a tensor without history and reaches nothing; the way to "
                f"{names(cut_off)} ended here",
            )

    def failed(self, error: BaseException, frames: list[Any]) -> None:
        if NO_GRAPH not in str(error) or id(error) in self.watch.told:
            return
        cut = cut_before_failure(self.watch, frames)
        if cut is not None and cut.kind in self.kinds:
            self.watch.told.add(id(error))
            self.found(
                cut.place,
                f"the loss has no graph, so backward() fails; the way to {names(self._cut_off(cut))} ended here",
            )

    def finish(self) -> None:
        passes = how_many(self.watch.seen["backward passes"], "backward pass")
        starved: dict[int, tuple[Cut, list[Leaf]]] = {}
        for leaf in self.watch.starved():
            cut = blamed(self.watch, leaf)
            if cut is not None and cut.kind in self.kinds:
                starved.setdefault(id(cut), (cut, []))[1].append(leaf)
        for cut, leaves in starved.values():
            for leaf in leaves:
                leaf.explained = True
            self.found(
                cut.place, f"{names(leaves)} got no gradient in {passes}: the only way to the loss ends here"
            )

    def _cut_off(self, cut: Cut) -> list[Leaf]:
        """The leaves behind a cut."""
        leaves = [leaf for leaf in self.watch.everyone if leaf.bit & cut.mask]
        for leaf in leaves:
            leaf.explained = True
        return leaves


class LossDetached(_Cutting):
    """`loss.detach().requires_grad_()`: backward runs, and reaches nothing."""

    name = "loss-detached"
    symptom = "The loss has no history and was told to require grad: backward() runs, and no parameter gets a gradient."
    fix = "Call backward() on the loss itself. requires_grad_() does not bring a history back."
    kinds = DETACHED

    def before_backward(self, event: Backward) -> None:
        super().before_backward(event)
        roots = {self.watch.leaf(root) for root in event.roots if isinstance(root, AccumulateGrad)}
        trained = [leaf for known in self.watch.optimizers for leaf in known.leaves]
        if (
            len(roots) < len(event.roots)
            or not trained
            or roots & set(trained)
            or cut_root(self.watch, event)
        ):
            return
        for leaf in trained:
            leaf.explained = True
        self.found(
            event.place,
            "backward() starts at a leaf and reaches nothing else: what it was computed from was not recorded (under "
            f"no_grad, or from tensors that require no grad); {names(trained)} get no gradient",
        )

    def failed(self, error: BaseException, frames: list[Any]) -> None: ...
    def finish(self) -> None: ...


class Detached(_Cutting):
    """A detach (or `.data`) on the only way from a parameter to the loss."""

    name = "detached"
    symptom = "A value is detached on the only way from these parameters to the loss: they get no gradient."
    fix = "Leave out detach() (or .data) here; detach what is stored or printed, not what the loss is computed from."
    kinds = DETACHED

    def before_backward(self, event: Backward) -> None: ...


class NumpyRoundTrip(_Cutting):
    """Out to NumPy and back in within the forward pass."""

    name = "numpy-round-trip"
    symptom = (
        "The forward pass goes through NumPy, which records nothing: what comes before gets no gradient."
    )
    fix = "Use the torch function of the same name (torch.tanh for np.tanh …)."
    kinds = NUMPY


class WholeNumbers(_Cutting):
    """argmax, comparisons and casts to integers have no derivative."""

    name = "integer-cut"
    symptom = (
        "The loss is computed from whole numbers (argmax, a comparison, a cast), which have no derivative."
    )
    fix = "Compute the loss from the scores (cross_entropy of the logits); keep argmax and == for measuring accuracy."
    kinds = WHOLE


class Copied(_Cutting):
    """`torch.tensor(loss)`, `torch.tensor(loss.item())`: the numbers without the history."""

    name = "tensor-copy"
    symptom = (
        "A new tensor is made from the numbers of another: the history stays behind, and no gradient passes."
    )
    fix = "Use the tensor itself; join tensors with torch.stack or torch.cat instead of torch.tensor([...])."
    kinds = COPIES


RULES: tuple[type[Rule], ...] = (LossDetached, Detached, NumpyRoundTrip, WholeNumbers, Copied)
