"""Checks README.md, CHANGELOG.md and docs/*.md: relative links exist, `>>>` examples print what stands below them."""

import doctest
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def broken_links(page: Path) -> list[str]:
    """Links of the page, relative to it, whose target does not exist."""
    return [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()]


def main() -> int:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    failures = 0
    for page in sorted(pages):
        name = page.relative_to(ROOT)
        for link in broken_links(page):
            print(f"{name}: no such file: {link}")
            failures += 1
        failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
        failures += failed
        print(f"{name}: {tried} examples")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
