"""`clew.debug_checklist`: what it finds of a loss and its parameters, before backward and after it."""

from __future__ import annotations

import json
import subprocess

import pytest

import clew
from clew import nn, view
from clew.view.checklist import Checklist


def scalar(value=2.0):
    return clew.tensor(value, requires_grad=True)


def test_the_courses_two_questions(capsys):
    w, b = scalar(), scalar(1.0)
    loss = (w * 3 + b) ** 2
    before = clew.debug_checklist(loss, [w, b])
    assert before.ok
    assert before.text == (
        "debug checklist, before backward\n"
        "  ok  loss  requires_grad True, value 49, a graph of 3 operations, "
        f"made at test_checklist.py:{loss.grad_fn.line[1]}\n"
        "  ok  w     requires_grad True, a leaf, reached, .grad None\n"
        "  ok  b     requires_grad True, a leaf, reached, .grad None\n"
        "all as it should be"
    )
    assert capsys.readouterr().out == before.text + "\n"
    loss.backward()
    after = clew.debug_checklist(loss, [w, b])
    assert after
    assert after.when == "after backward"
    assert [(line.name, line.grad, line.grad_norm) for line in after.parameters] == [
        ("w", "42", 42.0),
        ("b", "14", 14.0),
    ]
    assert str(after) == after.text
    assert repr(after) == "<Checklist: ok>"


@pytest.mark.parametrize(
    "form", ["module", "named", "dict", "list", "iterator", "optimizer", "groups", "none"]
)
def test_forms_of_parameters(form):
    net = nn.Linear(2, 1)
    loss = net(clew.ones(3, 2)).sum()
    params = {
        "module": net,
        "named": net.named_parameters(),
        "dict": dict(net.named_parameters()),
        "list": list(net.parameters()),
        "iterator": net.parameters(),
        "optimizer": clew.optim.SGD(net.named_parameters(), lr=0.1),
        "groups": [{"params": [net.weight]}, {"params": net.bias}],
        "none": None,
    }[form]
    found = clew.debug_checklist(loss, params)
    assert found.ok
    assert [line.shape for line in found.parameters] in ([(1, 2), (1,)], [(1,), (1, 2)])
    if form in ("module", "named", "dict", "optimizer"):
        assert [line.name for line in found.parameters] == ["weight", "bias"]


def test_a_single_tensor_by_its_variables_name():
    weight = scalar()
    assert clew.debug_checklist(weight * 2, weight).parameters[0].name == "weight"


def said_of(found):
    return " | ".join(found.problems)


def test_no_requires_grad_and_no_leaf():
    w, frozen = scalar(), clew.tensor(1.0)
    doubled = w * 2
    said = said_of(clew.debug_checklist(doubled * frozen, [frozen, doubled]))
    assert "frozen: it does not require grad" in said
    assert "doubled: it is the result of MulBackward0 at test_checklist.py:" in said
    assert "retain_grad()" in said


def test_whole_numbers_cannot():
    assert "floating type" in said_of(clew.debug_checklist(scalar() * 2, clew.tensor(3)))


def test_detached_at_a_line():
    w, b = scalar(), scalar()
    hidden = (w * 2).detach()
    loss = (hidden * b) ** 2
    found = clew.debug_checklist(loss, [w, b])
    assert [line.reached for line in found.parameters] == [False, True]
    assert len(found.problems) == 1
    assert "likely cut by .detach() at test_checklist.py:" in found.problems[0]
    assert found.problems[0].endswith("hidden = (w * 2).detach()")


def test_another_cut_is_not_blamed():
    w, b = scalar(), scalar()
    shown = (w * 2).detach()
    loss = (b * 3) ** 2
    said = said_of(clew.debug_checklist(loss, w))
    assert (
        said
        == "w: the loss's graph does not lead to it: the loss was computed without it, or from a detached copy"
    )
    assert shown == 4


def test_a_recording_knows_the_cut():
    w, b = scalar(), scalar()
    with view.Recording():
        loss = b * (w * 2).data
        assert "cut by .data at test_checklist.py:" in said_of(clew.debug_checklist(loss, w))


def test_loss_without_graph():
    w = scalar()
    with clew.no_grad():
        loss = w * 2
    said = said_of(clew.debug_checklist(loss, w))
    assert "loss: it has no graph, backward() will fail" in said
    assert "likely cut by no_grad()" in said


def test_loss_that_is_a_leaf_or_not_one_number():
    w = clew.ones(3, requires_grad=True)
    assert "leaf itself" in said_of(clew.debug_checklist(w.detach().sum().requires_grad_(), w))
    assert "it has 3 elements" in said_of(clew.debug_checklist(w * 2, w))


def test_gradient_left_over():
    w = scalar()
    (w * w).backward()
    second = w * w * 3
    assert "a gradient is there before backward()" in said_of(clew.debug_checklist(second, w))
    w.grad.zero_()
    assert not said_of(clew.debug_checklist(second, w))


def test_gradient_cleared_after_backward():
    w = scalar()
    loss = w * w
    loss.backward()
    w.grad = None
    assert ".grad is None after backward()" in said_of(clew.debug_checklist(loss, w))


def test_not_finite():
    w = clew.tensor([0.0, 1.0], requires_grad=True)
    loss = w.sqrt().sum()
    loss.backward()
    assert "1 of 2 numbers of .grad are not finite" in said_of(clew.debug_checklist(loss, w))
    big = (w / 0).sum()
    assert "its value is not finite" in said_of(clew.debug_checklist(big, [w]))


def test_a_graph_that_saves_nothing():
    w = scalar()
    loss = w + 1
    assert clew.debug_checklist(loss, w).ok
    loss.backward()
    assert clew.debug_checklist(loss, w).ok


def test_as_data():
    w = clew.ones(2, requires_grad=True)
    loss = (w * w).sum()
    loss.backward()
    data = json.loads(json.dumps(clew.debug_checklist(loss, {"weight": w}).as_data()))
    assert data["ok"] is True
    assert data["when"] == "after backward"
    assert data["parameters"][0]["shape"] == [2]
    assert data["parameters"][0]["grad_norm"] == pytest.approx(8**0.5)


def test_it_changes_nothing():
    net = nn.Linear(2, 1)
    loss = net(clew.ones(1, 2)).sum()
    clew.debug_checklist(loss, net)
    loss.backward()
    kept = net.weight.grad.clone()
    clew.debug_checklist(loss, net)
    assert clew.equal(net.weight.grad, kept)


@pytest.mark.parametrize(
    ("loss", "params", "error", "words"),
    [
        (3.0, None, TypeError, "pass the loss itself, not loss.item()"),
        ("loss", None, TypeError, "not str"),
        (None, [], ValueError, "no parameters"),
        (None, [1], TypeError, "the parameter number 0 is no tensor but int"),
        (None, {"w": 2}, TypeError, "the parameter of 'w' is no tensor"),
        (None, 3, TypeError, "not int"),
        (None, nn.Linear(1, 1).parameters, TypeError, "not method"),
    ],
)
def test_wrong_input(loss, params, error, words, capsys):
    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        clew.debug_checklist(scalar() * 2 if loss is None else loss, params)
    assert capsys.readouterr().out == ""


def test_it_is_loaded_when_asked_for(run_python):
    code = "import sys, clew; assert 'clew.view' not in sys.modules; clew.debug_checklist; assert 'clew.view.checklist' in sys.modules"
    done: subprocess.CompletedProcess[str] = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_truth_is_whether_all_is_well():
    assert not clew.debug_checklist(clew.tensor(1.0))
    assert isinstance(clew.debug_checklist(scalar() * 1), Checklist)
