"""The pages of docs/course: their code runs from top to bottom, and what it prints is below it.

`python -m tests.course` rewrites the printed text.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from tunesmith.interop.datasets import load_dataset

COURSE = Path(__file__).parents[1] / "docs" / "course"
ZH = COURSE.parent / "zh" / "course"
PAGES = sorted(
    path for home in (COURSE, ZH) for path in home.glob("*.md") if path.name != "index.md"
)
DATA = re.compile(r'load_dataset\("embedded:(\w+)"\)')
"""What the pages load; a test may pass other rows instead."""

_BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL
)

_SHORT = 300
"""Characters of a context."""
_LOGS = re.compile(r"^\{'.*'epoch': .*\n", re.MULTILINE)
"""What a Trainer prints during training: times that differ."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page, with the text that the page shows below it and the real one."""

    code: str
    shown: str | None
    printed: str


def few_rows(name: str = "pairs", count: int = 24) -> DatasetDict:
    """The first rows of each split: enough to see that every line runs."""
    raw = load_dataset(f"embedded:{name}")
    if name == "questions":  # without the long contexts; a row has several windows
        raw, count = raw.filter(lambda row: len(row["context"]) < _SHORT), 14
    return DatasetDict({name: split.select(range(count)) for name, split in raw.items()})


def run(page: Path, data: Callable[[str], Any] | None = None) -> Iterator[Block]:
    """Run the blocks of a page one after the other, as a notebook would."""
    names: dict[str, Any] = {"__name__": "__main__", "_data": data}
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        code = DATA.sub(r'_data("\1")', match["code"]) if data else match["code"]
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(code, page.name, "exec"), names)
        yield Block(match["code"], match["printed"], _LOGS.sub("", out.getvalue()))


def rewrite(page: Path) -> None:
    """Put what the code prints below it."""
    blocks = iter(list(run(page)))

    def filled(_match: re.Match[str]) -> str:
        block = next(blocks)
        text = f"```python\n{block.code}```\n"
        return text + (f"\n```text\n{block.printed}```\n" if block.printed else "")

    page.write_text(_BLOCK.sub(filled, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for path in PAGES:
        if len(sys.argv) < 2 or path.stem in sys.argv[1:]:
            print(path)
            rewrite(path)
