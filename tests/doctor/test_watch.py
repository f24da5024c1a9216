"""The doctor in a program: `with clew.doctor() as d`. Off, nothing of it is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

import clew
from clew.core.engine import Walk
from clew.core.modes import observers
from clew.doctor.events import Rule
from clew.nn import Linear, Module
from clew.optim import SGD, Optimizer

OWNERS = (Walk, clew.Tensor, Module, Optimizer, SGD, clew.optim.LBFGS, clew)


def state():
    return [dict(vars(owner)) for owner in OWNERS]


def pile_up(model=None):
    model = model or Linear(2, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(clew.ones(4, 2)).sum().backward()
        optimizer.step()


def names(watch):
    return {finding.rule for finding in watch.report().findings}


def test_import_clew_loads_nothing_of_it():
    code = "import sys, clew, clew.nn, clew.optim; sys.exit(any('doctor' in name for name in sys.modules))"
    source = str(Path(clew.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": source}).returncode == 0


def test_everything_is_put_back():
    clew.doctor, clew.compiler, clew.compile
    before = state()
    with clew.doctor():
        assert state() != before
        pile_up()
    assert state() == before
    assert not observers


def test_put_back_after_an_error():
    before = state()
    watch = clew.doctor()
    with pytest.raises(ZeroDivisionError), watch:
        pile_up()
        1 / 0
    assert state() == before
    assert names(watch) == {"gradients-not-cleared"}
    assert "ended with ZeroDivisionError" in watch.report().note


def test_findings():
    with clew.doctor() as watch:
        pile_up()
    (finding,) = watch.report().findings
    assert finding.file == __file__
    assert finding.text == "model(clew.ones(4, 2)).sum().backward()"
    assert "norm" in finding.evidence
    assert finding.count == 2  # the first pass finds nothing to add to
    assert watch.report().status == 1
    assert watch.report().seen == {"operations": 6, "backward passes": 3, "steps": 3, "calls": 3}


def test_report_while_it_watches():
    with clew.doctor() as watch:
        assert watch.report().findings == []
        pile_up()
        assert names(watch) == {"gradients-not-cleared"}


def test_what_it_did_not_see_before_it_came():
    model = Linear(2, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    model(clew.ones(2)).sum().backward()
    optimizer.step()
    with clew.doctor() as watch:
        model(clew.ones(2)).sum().backward()
        optimizer.step()
    assert names(watch) == set()


def test_a_rule_is_silenced_by_name():
    with clew.doctor(ignore=["gradients-not-cleared"]) as watch:
        pile_up()
    assert names(watch) == set()
    with pytest.raises(ValueError, match="no rule is called 'gradient'"):
        clew.doctor(ignore=["gradient"])


def test_a_line_is_silenced_by_a_comment():
    model = Linear(2, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    with clew.doctor() as watch:
        for _ in range(3):
            model(clew.ones(4, 2)).sum().backward()  # doctor: ignore[gradients-not-cleared]
            optimizer.step()
    assert names(watch) == set()


def test_one_inside_another():
    with clew.doctor() as outer:
        with clew.doctor() as inner:
            pile_up()
        pile_up()
    assert names(outer) == names(inner) == {"gradients-not-cleared"}
    assert not observers


def test_other_threads_are_not_watched():
    with clew.doctor() as watch:
        thread = Thread(target=pile_up)
        thread.start()
        thread.join()
    assert names(watch) == set()


def test_a_rule_that_fails_does_not_stop_the_program(monkeypatch):
    monkeypatch.delenv("CLEW_DOCTOR_STRICT", raising=False)
    from clew.doctor.rules.accumulation import ClearedBeforeStep

    def fail(*_):
        raise KeyError("a mistake of the rule's own")

    monkeypatch.setattr(ClearedBeforeStep, "after_backward", fail)
    with clew.doctor() as watch:
        pile_up()
    assert names(watch) == {"gradients-not-cleared"}
    assert "a rule failed" in watch.report().note


def test_no_autograd():
    with clew.doctor() as watch:
        clew.ones(3) + 1
    assert watch.report().as_text() == (
        "clew doctor: nothing found\nclew doctor: the program recorded no operation: it uses no autograd"
    )


def test_the_program_computes_the_same():
    def run():
        clew.manual_seed(0)
        model = clew.nn.Sequential(Linear(3, 4), clew.nn.Dropout(0.5), Linear(4, 1))
        optimizer = clew.optim.Adam(model.parameters())
        losses = []
        for _ in range(3):
            loss = model(clew.randn(5, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    plain = run()
    with clew.doctor():
        assert run() == plain


def test_compiled_functions_run_as_they_are():
    with clew.doctor() as watch:
        model = Linear(2, 1)
        optimizer = SGD(model.parameters(), lr=0.1)

        @clew.compile
        def step(x):
            model(x).sum().backward()
            optimizer.step()

        for _ in range(5):
            step(clew.ones(4, 2))
    assert names(watch) == {"gradients-not-cleared"}


def test_nothing_is_kept_alive():
    import gc
    import weakref

    with clew.doctor() as watch:
        model = Linear(2, 1)
        y = model(clew.ones(2)).relu()
        y.sum().backward()
        refs = [weakref.ref(y), weakref.ref(y.grad_fn), weakref.ref(model), weakref.ref(model.weight)]
        del model, y
        gc.collect()
        assert [ref() for ref in refs] == [None] * 4
    assert isinstance(watch.rules[0], Rule)
