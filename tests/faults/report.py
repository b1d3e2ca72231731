"""The results of the faults suite in the documentation: `python -m tests.faults.report`.

They are kept in `results.json`, which `python -m tests.faults --results` writes; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "main", "pages", "read_results", "with_results"]

_DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parent / "results.json"
_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"

_HEADS = {
    "en": (
        "| kind | cases | held | skipped | failed | seconds of CPU | runs | date | on |",
        "{machine}, Python {python}, torch {torch}, transformers {transformers}",
    ),
    "zh": (
        "| 类别 | 用例 | 通过 | 跳过 | 失败 | CPU 秒数 | 次数 | 日期 | 环境 |",
        "{machine}，Python {python}，torch {torch}，transformers {transformers}",
    ),
}


def pages() -> dict[str, Path]:
    """The pages, by language."""
    name = "explanation/reliability.md"
    return {"en": _DOCS / name, "zh": _DOCS / "zh" / name}


def read_results() -> dict[str, Any]:
    """The results by kind."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def with_results(page: str, language: str, results: Mapping[str, Any]) -> str:
    """A page with the table of results in its place."""
    before, begin, rest = page.partition(_BEGIN)
    _old, end, after = rest.partition(_END)
    assert begin and end, "a page has a place for the results"
    head, where = _HEADS[language]
    rows = [
        f"| {kind} | {one['cases']} | {one['held']} | {one['skipped']} | {len(one['failed'])} "
        f"| {one['cpu_seconds']} | {one['runs']} | {one['date']} "
        f"| {where.format(machine=one['machine'], **one['versions'])} |"
        for kind, one in results.items()
    ]
    table = "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|---|---|", *rows])
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def main() -> None:
    """Write the table into both pages."""
    for language, path in pages().items():
        text = with_results(path.read_text(encoding="utf-8"), language, read_results())
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
