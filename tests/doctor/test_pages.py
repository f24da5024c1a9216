"""Every rule has a page, and what the page calls broken or mended is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from clew.doctor.rules import all_rules

sys.path.insert(0, str(Path(__file__).parent))
import programs

FOLDER = programs.ROOT / "docs" / "doctor"
NAMES = sorted({rule.name for rule in all_rules()})
_CODE = re.compile(r"^## (Broken|Mended)\n+```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_a_page_for_each_rule_and_a_line_in_the_index():
    pages = {path.stem for path in FOLDER.glob("*.md")} - {"README"}
    assert pages == set(NAMES)
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {name for name in NAMES if f"]({name}.md)" in index} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_programs(name, tmp_path):
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    blocks = dict(_CODE.findall(page))
    assert set(blocks) == {"Broken", "Mended"}
    found = {}
    for kind, text in blocks.items():
        path = tmp_path / f"{kind}.py"
        path.write_text(text, encoding="utf-8")
        found[kind] = programs.examine(path)
    assert name in {finding["rule"] for finding in found["Broken"].findings}
    assert programs.as_lines(found["Mended"].findings) == []
    assert found["Mended"].status == 0, found["Mended"].errors


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_what_a_rule_says(rule):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.symptom
    assert rule.fix
