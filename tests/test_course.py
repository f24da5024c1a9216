"""The pages of the course under clew: every program prints what stands below it, every command shows what is shown."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise

import course_pages
import pytest

PROGRAMS = course_pages.blocks("python")
COMMANDS = course_pages.blocks("console")
RUN_ALL = """
import contextlib, io, json, sys
from clew import as_torch
outputs = []
with as_torch.installed():
    for text in json.load(sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(text, "page", "exec"), {"__name__": "__main__"})
        outputs.append(output.getvalue())
json.dump(outputs, sys.stdout)
"""


@pytest.fixture(scope="module")
def outputs(run_python, tmp_path_factory):
    """What each program prints; in a process of its own, where no PyTorch is imported."""
    file = tmp_path_factory.mktemp("course") / "run.py"
    file.write_text(RUN_ALL.replace("json.load(sys.stdin)", repr([block.text for block in PROGRAMS])))
    done = run_python("-W", "error", file)
    assert done.returncode == 0, done.stderr
    return dict(zip([block.name for block in PROGRAMS], json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.name)
def test_a_program_prints_what_the_page_shows(block, outputs):
    assert block.output, "a program without its output"
    assert outputs[block.name] == block.output


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.name)
def test_a_command_shows_what_the_page_shows(block, run_clew):
    program, *args = shlex.split(block.text)
    done = run_clew(*args, cwd=course_pages.ROOT)
    assert program == "clew"
    assert done.returncode == 0, done.stderr
    told = done.stdout + (done.stderr if args[0] in ("doctor", "trace") else "")
    assert course_pages.matches(block.output, told), told


def test_the_course_is_whole():
    names = [page.stem for page in course_pages.pages()]
    assert names[0] == "README"
    assert [int(name.partition("_")[0]) for name in names[1:]] == list(range(1, 11))
    index = (course_pages.PAGES / "README.md").read_text(encoding="utf-8")
    for page in course_pages.pages()[1:]:
        assert f"({page.name})" in index
        first = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"[{first}]" in index


def test_pages_lead_on_to_the_next():
    pages = course_pages.pages()[1:]
    for page, following in pairwise(pages):
        assert page.read_text(encoding="utf-8").rstrip().splitlines()[-1].endswith(f"]({following.name}).")


def test_the_drawings_are_those_of_the_programs(run_python):
    """`python docs/course/pictures/draw.py` draws them; how they look may change, what stands in them may not."""
    pytest.importorskip("fast_sugiyama")
    pictures = course_pages.PAGES / "pictures"
    script = (
        "import draw, json; print(json.dumps({name: graph.svg() for name, graph in draw.graphs().items()}))"
    )
    done = run_python("-c", script, path=pictures)
    assert done.returncode == 0, done.stderr
    for name, drawn in json.loads(done.stdout).items():
        assert _words((pictures / f"{name}.svg").read_text(encoding="utf-8")) == _words(drawn), name


def _words(svg: str) -> list[str]:
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
