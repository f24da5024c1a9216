"""Connectionist temporal classification: the probability of a label sequence, summed over all its alignments.

Every label may be held for several steps, with blanks between labels (needed between equal ones). With the labels
extended by blanks on both sides of each, l' of length 2L + 1, forward variables α sum over the beginnings of alignments
and backward variables β over their ends; α β is the probability of all alignments through a place (Graves et al. 2006,
"Connectionist temporal classification"). Batches and places are computed at once, in logarithms; the loop is over time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.variable import FLOAT32, FLOAT64, Variable, wrap
from clew.dtypes import legacy_name
from clew.ops import elementwise
from clew.ops._arguments import check_tensor, no_signature, underivable
from clew.ops._autocast import raised
from clew.ops.loss import check_reduction

__all__ = ["ctc_loss"]

_REDUCTIONS = ("none", "mean", "sum")


# ---- alignments -------------------------------------------------------------------------------------------------------
def _extended(targets: ndarray, lengths: ndarray, blank: int) -> tuple[ndarray, ndarray]:
    """The labels with blanks around each, (N, 2L + 1), and where a place may be reached from two places before."""
    if targets.ndim == 1:  # one sequence after the other
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        steps = np.arange(int(lengths.max(initial=0)))
        inside = steps < lengths[:, None]
        rows = np.where(inside, starts[:, None] + steps, 0)
        padded = targets[rows] if len(targets) else np.full(rows.shape, blank)
    else:
        padded = targets[:, : int(lengths.max(initial=0))]
        inside = np.arange(padded.shape[1]) < lengths[:, None]
    places = np.full((len(lengths), 2 * padded.shape[1] + 1), blank, np.int64)
    places[:, 1::2] = np.where(inside, padded, blank)
    skips = np.zeros(places.shape, bool)
    skips[:, 3::2] = places[:, 3::2] != places[:, 1:-2:2]
    return places, skips


def _moved(x: ndarray, by: int) -> ndarray:
    """x with every place's value `by` places later; −∞ comes in."""
    made = np.full_like(x, -np.inf)
    if by > 0:
        made[:, by:] = x[:, :-by]
    else:
        made[:, :by] = x[:, -by:]
    return made


def _sum(a: ndarray, b: ndarray, c: ndarray) -> ndarray:
    """log(eᵃ + eᵇ + eᶜ)."""
    return np.logaddexp(np.logaddexp(a, b), c)


def _forward_variables(scores: ndarray, skips: ndarray) -> ndarray:
    """log α (T, N, 2L + 1) from the log-probabilities of every place's label."""
    made = np.full_like(scores, -np.inf)
    if len(scores):
        made[0, :, :2] = scores[0, :, :2]
    for t in range(1, len(scores)):
        before = made[t - 1]
        skipped = np.where(skips, _moved(before, 2), -np.inf)
        made[t] = _sum(before, _moved(before, 1), skipped) + scores[t]
    return made


def _backward_variables(scores: ndarray, skips: ndarray, times: ndarray, lengths: ndarray) -> ndarray:
    """log β (T, N, 2L + 1); every sequence ends at its own time, in its last label or the blank behind it."""
    made = np.full_like(scores, -np.inf)
    places = np.arange(scores.shape[2])
    last = 2 * lengths[:, None]
    ends = (places == last) | ((places == last - 1) & (last > 0))
    skipping = np.concatenate([skips[:, 2:], np.zeros((len(skips), 2), bool)], 1)[:, : skips.shape[1]]
    after = np.full(scores.shape[1:], -np.inf, scores.dtype)
    for t in reversed(range(len(scores))):
        skipped = np.where(skipping, _moved(after, -2), -np.inf)
        onward = _sum(after, _moved(after, -1), skipped) + scores[t]
        after = made[t] = np.where((times == t + 1)[:, None], np.where(ends, scores[t], -np.inf), onward)
    return made


def _place_scores(log_probs: ndarray, places: ndarray) -> ndarray:
    return np.take_along_axis(log_probs, np.broadcast_to(places, (len(log_probs), *places.shape)), 2)


def _losses(
    log_probs: ndarray, targets: ndarray, *, times: ndarray, lengths: ndarray, blank: int, zero_infinity: bool
) -> tuple[ndarray, ndarray]:
    """−log p of every sequence, and log α."""
    places, skips = _extended(targets, lengths, blank)
    log_alpha = _forward_variables(_place_scores(log_probs, places), skips)
    rows = np.arange(len(lengths))
    if len(log_alpha):
        end = log_alpha[times - 1, rows]
        blanks, labels = end[rows, 2 * lengths], end[rows, 2 * lengths - 1]
        found = -np.where(lengths > 0, np.logaddexp(blanks, labels), blanks)
    else:
        found = np.zeros(len(lengths), log_probs.dtype)
    nothing = np.where(lengths == 0, log_probs.dtype.type(-0.0), log_probs.dtype.type(np.inf))
    return np.where(times == 0, nothing, found), log_alpha


def _slopes(
    grad: ndarray, log_probs: ndarray, targets: ndarray, neg_log_likelihood: ndarray, log_alpha: ndarray, *,
    times: ndarray, lengths: ndarray, blank: int, zero_infinity: bool,
) -> ndarray:  # fmt: skip
    """g (y − the share of all alignments that are at a label): the derivative in what went into log-softmax."""
    steps, batch, classes = log_probs.shape
    places, skips = _extended(targets, lengths, blank)
    scores = _place_scores(log_probs, places)
    log_beta = _backward_variables(scores, skips, times, lengths)
    impossible = np.isposinf(neg_log_likelihood)
    with np.errstate(invalid="ignore"):
        shares = np.exp(log_alpha + log_beta - scores + neg_log_likelihood[:, None])
    shares[np.isneginf(scores) | impossible[:, None]] = 0
    cells = (np.arange(steps * batch).reshape(steps, batch, 1) * classes + places).reshape(-1)
    summed = np.bincount(cells, shares.reshape(-1), steps * batch * classes).reshape(log_probs.shape)
    made = (np.exp(log_probs) - summed).astype(log_probs.dtype)
    made[:, impossible] = 0 if zero_infinity else np.nan
    made[np.arange(steps)[:, None] >= times] = 0
    return made * grad[:, None]


_ctc_slopes = Primitive("ctc_loss_backward", _slopes, {
    "grad": underivable("_ctc_loss_backward"), "log_probs": underivable("_ctc_loss_backward"),
})  # fmt: skip


def _slope(
    xp: Any, g: Any, log_probs: Any, targets: Any, neg_log_likelihood: Any, log_alpha: Any, times: Any, lengths: Any,
    blank: int, zero_infinity: bool,
) -> Any:  # fmt: skip
    return xp.call(
        _ctc_slopes, g, log_probs, targets, neg_log_likelihood, log_alpha, times=times, lengths=lengths, blank=blank,
        zero_infinity=zero_infinity,
    )  # fmt: skip


_ctc = Primitive(
    "ctc_loss",
    _losses,
    {"log_probs": _slope},
    outputs=("neg_log_likelihood",),
    aux={"log_alpha": None},
    explain="minus the log-probability of the labels, summed over their alignments",
)


# ---- the function -----------------------------------------------------------------------------------------------------
_WHERE = "(while checking arguments for ctc_loss_allocate_outputs)"


def _lengths(given: Any, name: str, batch: int) -> ndarray:
    """Lengths as integers. RuntimeError unless there is one for every sequence."""
    if isinstance(given, Variable):
        if given._array.dtype.kind not in "iu":
            raise RuntimeError(f"{name} must be integral")
        found = np.asarray(given._array).reshape(-1)
    else:
        found = np.asarray(given, np.int64).reshape(-1)
    if len(found) != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    if len(found) and found.min() < 0:
        raise RuntimeError(
            f"Expected {name} to have value at least 0, but got value {found[found < 0][0]} {_WHERE}"
        )
    return found.astype(np.int64)


def _check(x: ndarray, t: ndarray, times: ndarray, lengths: ndarray, blank: int) -> None:
    """PyTorch's errors; and IndexError for labels that don't exist, of which PyTorch reads whatever lies there."""
    steps, batch, classes = x.shape
    if len(times) and times.max() > steps:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value {times[times > steps][0]} {_WHERE}"
        )
    if t.ndim not in (1, 2):
        raise RuntimeError(
            f"Expected 1 to 2 dimensions, but got {t.ndim}-dimensional tensor for argument #2 'targets' {_WHERE}"
        )
    want = lengths.sum() if t.ndim == 1 else batch
    if t.shape[0] != want:
        raise RuntimeError(
            f"Expected tensor to have size {want} at dimension 0, but got size {t.shape[0]} for argument #2 'targets' "
            f"{_WHERE}"
        )
    longest = lengths.max(initial=0)
    if t.ndim == 2 and t.shape[1] < longest:
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size {t.shape[1]} for argument #2 "
            f"'targets' {_WHERE}"
        )
    labels = t if t.ndim == 1 else t[np.arange(t.shape[1]) < lengths[:, None]]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise IndexError(f"ctc_loss: every label must be in [0, {classes}), but one is not")


def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str | int = "mean", zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """−log Σ over alignments of the labels ∏ₜ y_t (Graves et al. 2006).

    log_probs (T, N, C) or (T, C) of log-softmax; targets (N, S), or (sum of target_lengths) one after the other, without
    `blank`; lengths (N). 'mean' divides every loss by its number of labels first. zero_infinity: 0 in place of the
    infinite loss of labels that do not fit into their time, and no gradient. RuntimeError for lengths that don't fit.
    """
    if altered and switches.autocast:
        (log_probs,) = raised(log_probs)
    word = _REDUCTIONS[reduction] if isinstance(reduction, int) else check_reduction(reduction)
    x = check_tensor(log_probs, "ctc_loss", "log_probs")._array
    t = check_tensor(targets, "ctc_loss", "targets", 2)._array
    both = (input_lengths, target_lengths)
    tensors = [isinstance(n, Variable) for n in both]
    if not all(tensors) and (any(tensors) or any(isinstance(n, float) for numbers in both for n in numbers)):
        raise no_signature(
            "ctc_loss", log_probs, targets, *both, blank, _REDUCTIONS.index(word), bool(zero_infinity)
        )
    batched = x.ndim == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
        x = log_probs._array
    if x.ndim != 3:
        raise RuntimeError(
            f"Expected 3-dimensional tensor, but got {x.ndim}-dimensional tensor for argument #1 'log_probs' {_WHERE}"
        )
    times, lengths = (
        _lengths(n, name, x.shape[1])
        for n, name in ((input_lengths, "input_lengths"), (target_lengths, "target_lengths"))
    )
    if not x.size:
        raise RuntimeError("log_probs tensor must not be empty")
    if x.dtype not in (FLOAT32, FLOAT64):
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{legacy_name(x.dtype)}'")
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError("blank must be in label range")
    _check(x, t, times, lengths, blank)
    losses = _ctc(
        log_probs, wrap(t.astype(np.int64)), times=times, lengths=lengths, blank=blank,
        zero_infinity=bool(zero_infinity),
    )  # fmt: skip
    if zero_infinity:
        losses = elementwise.where(losses == np.inf, 0.0, losses)
    if word == "mean":
        return (losses / wrap(np.maximum(lengths, 1).astype(x.dtype))).mean()
    if word == "sum":
        return losses.sum()
    return losses if batched else losses.squeeze(0)
