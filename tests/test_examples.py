"""The examples do what their READMEs show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nbformat
import pytest

from tests import notebook
from tests.checkout import ignored
from tests.examples import EXAMPLES, FOLDERS, READMES, as_pattern, blocks, copied, printed_by

SLOW = ("pairs", "tickets")
"""They train twice."""
IN_PROCESS = [
    pytest.param(folder, marks=pytest.mark.slow) if folder.name in SLOW else folder
    for folder in FOLDERS
    if folder.name != "notebook"
]
PAGES = [EXAMPLES / name for name in READMES] + [
    folder / name for folder in FOLDERS for name in READMES
]


@pytest.mark.parametrize("folder", IN_PROCESS, ids=lambda folder: folder.name)
def test_commands_print_what_the_page_shows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied(folder, tmp_path / "examples"))
    monkeypatch.setenv("COLUMNS", "100")
    compared = 0
    for block in blocks(folder / "README.md"):
        if not block.is_run:
            continue
        printed = printed_by(block)
        if block.shown is not None:
            assert as_pattern(block.shown).search(printed), f"{block.shown}\n---\n{printed}"
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_both_languages_have_the_same_commands(folder: Path) -> None:
    english, chinese = (blocks(folder / name) for name in READMES)
    assert english == chinese
    assert sum(len(block.steps) for block in english) > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(EXAMPLES)))
def test_links_resolve(page: Path) -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_tables_name_every_example() -> None:
    for name in READMES:
        named = re.findall(r"\]\(([\w-]+)/" + re.escape(name), (EXAMPLES / name).read_text())
        assert sorted(named) == [folder.name for folder in FOLDERS]


def test_runs_are_not_committed() -> None:
    """What running an example writes is ignored by git."""
    made = ["tickets/runs/first/model/config.json", "tickets/predictions.csv"]
    assert ignored(EXAMPLES, made) == made


def test_the_notebook_has_outputs() -> None:
    page = nbformat.read(notebook.NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(page)
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert len(code) > 5
    for cell in code:
        compile(cell.source, str(notebook.NOTEBOOK), "exec")
        assert cell.outputs and all(output.output_type != "error" for output in cell.outputs)
    assert notebook.NOTEBOOK.stat().st_size < 30_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_prints_what_it_shows(tmp_path: Path) -> None:
    page = nbformat.read(notebook.NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert notebook.texts(notebook.run(tmp_path)) == notebook.texts(page)


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ("f1  0.5 to 0.7\n", "note\nf1 0.41 to   0.73\nend", True),
        ("4 rows\n", "5 rows\n", False),
        ("a ... b\n", "a 1\n2 b\n", True),
        ("a\nb\n", "a\nc\nb\n", False),
        ("a\n...\nb\n", "a\nc\nb\n", True),
    ],
)
def test_output_is_compared_apart_from_decimals(shown: str, printed: str, is_same: bool) -> None:
    assert bool(as_pattern(shown).search(printed)) is is_same


def test_commands_are_read_with_their_exit_codes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "```sh\ntunesmith check a \\\n  --strict  # exit code 3\n# no\n```\n\n```text\nx\n```\n"
    )
    (block,) = blocks(page)
    assert [(shlex.join(step.words), step.code) for step in block.steps] == [
        ("tunesmith check a --strict", 3)
    ]
    assert block.shown == "x\n" and block.is_run
