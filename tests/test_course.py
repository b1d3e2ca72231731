"""The pages of the course: their code runs, and prints what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, DatasetDict, disable_progress_bars, enable_progress_bars

from tests import course
from tests.test_docs import blocks
from tunesmith.cli import main
from tunesmith.interop.datasets import load_dataset

ENGLISH = [page for page in course.PAGES if page.parent == course.COURSE]


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    disable_progress_bars()
    yield
    enable_progress_bars()


def test_the_data_page_shows_what_it_prints() -> None:
    page = course.COURSE / "data.md"
    ran = list(course.run(page))
    assert [(block.shown or "") for block in ran] == [block.printed for block in ran]
    assert sum(block.shown is not None for block in ran) == page.read_text().count("```text") > 5


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.stem)
def test_every_line_runs(page: Path) -> None:
    ran = list(course.run(page, course.few_rows))
    assert len(ran) == page.read_text(encoding="utf-8").count("```python") > 0


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.stem)
def test_the_chinese_page_shows_the_same_output(page: Path) -> None:
    assert blocks(page, "text") == blocks(course.ZH / page.name, "text")


def test_both_languages_have_the_same_pages() -> None:
    names = [{path.name for path in folder.glob("*.md")} for folder in (course.COURSE, course.ZH)]
    assert names[0] == names[1]
    assert {f"{page.stem}.md" for page in ENGLISH} == names[0] - {"index.md"} != set()


@pytest.mark.slow
@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.stem)
def test_whole_pages_show_what_they_print(page: Path) -> None:
    ran = list(course.run(page))
    assert ran
    for block in ran:
        assert (block.shown or "") == block.printed, block.code


@pytest.mark.slow
def test_commands_run() -> None:
    pattern = r"tests/test_course.py runs it -->\n```sh\n(.*?)```"
    commands = [
        line
        for page in ENGLISH
        for code in re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL)
        for line in code.splitlines()
    ]
    assert commands
    for line in commands:
        assert main(line.split()[1:]) == 0, line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trainer", "full-loop"])
def test_pages_on_mrpc_itself(name: str, glue: Callable[[str], Path]) -> None:
    """The shapes that the course shows for MRPC."""
    raw = load_dataset(str(glue("mrpc")))
    label = ClassLabel(names=["not_equivalent", "equivalent"])
    mrpc = DatasetDict({key: split.cast_column("label", label) for key, split in raw.items()})
    printed = "".join(
        block.printed for block in course.run(course.COURSE / f"{name}.md", lambda _name: mrpc)
    )
    assert "1377" in printed
    if name == "trainer":
        assert "(408, 2) (408,)" in printed
