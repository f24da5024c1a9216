"""The profiler: which calls it finds, how they nest, its table, traces and steps."""

from __future__ import annotations

import json

import pytest

import clew as torch
from clew import profiler
from clew.autograd.profiler import format_time
from clew.profiler import ProfilerActivity, record_function


@pytest.fixture
def profile():
    x = torch.ones(3, requires_grad=True)
    with profiler.profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        with record_function("mine"):
            y = (x * 2).sin()
        y.add_(1)
        torch.nn.functional.linear(y, torch.ones(2, 3)).sum().backward()
    return prof


def test_operations_and_nodes(profile):
    names = [event.key for event in profile.key_averages()]
    assert names[:4] == ["mine", "aten::mul", "aten::sin", "aten::add_"]
    assert {"aten::linear", "SumBackward0", "SinBackward0", "MulBackward0"} <= set(names)
    by_name = {event.name: event for event in profile.events()}
    mine, inner = by_name["mine"], by_name["aten::mul"]
    assert inner.cpu_parent is mine and mine.cpu_time_total > inner.cpu_time_total > 0
    assert mine.is_user_annotation and not inner.is_user_annotation
    assert inner.input_shapes[0] == [3]


def test_times_add_up(profile):
    events = profile.events()
    top = sum(event.cpu_time_total for event in events if event.cpu_parent is None)
    assert events.self_cpu_time_total == pytest.approx(top)
    assert events.total_average().count == len(events)


def test_table(profile):
    lines = profile.key_averages().table(sort_by="cpu_time_total", row_limit=2).splitlines()
    assert lines[1].split()[0] == "Name" and "# of Calls" in lines[1]
    assert lines[-1].startswith("Self CPU time total:")
    assert len(lines) == 7
    assert "Input Shapes" in profile.key_averages(group_by_input_shape=True).table()
    assert str(profile.key_averages()).count("\n") > 5
    with pytest.raises(AttributeError):
        profile.key_averages().table(sort_by="foo")


def test_trace(profile, tmp_path):
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    calls = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert calls[0]["name"] == "mine" and calls[0]["ph"] == "X"
    for use_gzip, ending in ((False, ".json"), (True, ".gz")):
        handler = profiler.tensorboard_trace_handler(str(tmp_path / ending), "worker", use_gzip)
        handler(profile)
        (written,) = (tmp_path / ending).iterdir()
        assert written.name.startswith("worker.") and written.name.endswith(ending)


def test_steps():
    ready = []
    x = torch.ones(3)
    with profiler.profile(
        schedule=profiler.schedule(wait=1, warmup=1, active=2, repeat=1),
        on_trace_ready=lambda p: ready.append((p.step_num, [e.name for e in p.events()])),
    ) as prof:
        for _ in range(6):
            x.exp()
            prof.step()
    assert ready == [(4, ["ProfilerStep#2", "aten::exp", "ProfilerStep#3", "aten::exp"])]


def test_the_older_profiler():
    x = torch.ones(3)
    with torch.autograd.profiler.profile() as prof:
        x.exp()
    assert [event.key for event in prof.key_averages()] == ["aten::exp"]
    assert prof.self_cpu_time_total > 0 and "aten::exp" in prof.table() and "aten::exp" in str(prof)
    assert repr(prof.total_average()).startswith("<FunctionEventAvg key=Total")
    with torch.autograd.profiler.profile(enabled=False) as prof:
        assert prof is None
    with torch.autograd.profiler.emit_nvtx():
        x.exp()


def test_a_named_function_without_a_profiler():
    assert record_function("name")(lambda x: x + 1)(2) == 3


def test_nothing_was_measured():
    with pytest.raises(AssertionError, match="Profiler must be initialized before getting key averages"):
        profiler.profile().key_averages()


def test_text_of_times():
    assert [format_time(t) for t in (0.5, 1500.0, 2e6)] == ["0.500us", "1.500ms", "2.000s"]
