"""The code in README and docs runs, and the names that they use exist."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from docs import generate
from docs.pictures.data import write_tickets

from tests import doc_outputs, doc_twins
from tests.conftest import ticket_rows
from tests.doc_names import Names, unknown_names
from tunesmith.cli import main
from tunesmith.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL = [*PAGES, ROOT / "CHANGELOG.md"]
TWINS = [page for page in PAGES if doc_twins.is_chinese(page)]
RUN = [
    page
    for page in PAGES
    if page not in TWINS or not doc_twins.has_same_code(doc_twins.twin(page), page)
]
"""Pages whose code is run: the Chinese ones only if it differs from that of the English page."""
APART = [page for page in RUN if page.parent.name != "course"]
"""Pages whose Python blocks are independent; tests/test_course.py runs the others as a whole."""


def blocks(page: Path, kind: str) -> list[tuple[bool, str]]:
    return [(block.runs, block.code) for block in doc_twins.code_blocks(page) if block.kind == kind]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages use; each test gets copies."""
    folder = tmp_path_factory.mktemp("files")
    rows = ticket_rows(60)

    def write(name: str, header: list[str], lines: list[list[object]], code: str = "utf-8") -> None:
        with (folder / name).open("w", newline="", encoding=code) as file:
            csv.writer(file).writerows([header, *lines])

    body, queue = [row[1] for row in rows[1:]], [row[2] for row in rows[1:]]
    write(
        "tickets.csv",
        [*rows[0], "customer"],
        [[*row, f"c{i % 20}"] for i, row in enumerate(rows[1:])],
    )
    for name in ("my.csv", "test.csv"):
        write(name, ["text", "label"], [list(pair) for pair in zip(body, queue, strict=True)])
    write("new.csv", ["body"], [[text] for text in body[:5]])
    write(
        "gbk.csv",
        ["文本", "标签"],
        [[f"打印机又坏了 {i}", "甲乙"[i % 2]] for i in range(30)],
        "gb18030",
    )
    (folder / "headless.csv").write_text(
        "\n".join(f'"{t}",{"ab"[i % 2]}' for i, t in enumerate(body))
    )
    spellings = ["Pos", "neg", " pos", "pos", "neg", "neg"]
    write("spelt.csv", ["text", "label"], [[t, spellings[i % 6]] for i, t in enumerate(body)])
    write("tags.csv", ["text", "tags"], [[t, "a;b" if i % 2 else "b"] for i, t in enumerate(body)])
    (folder / "german-export.csv").write_bytes(
        "Text;Kategorie\r\n".encode("cp1252")
        + "".join(
            f"{'Der Drucker ist schon wieder kaputt' if i % 2 else 'Bitte ein größeres Büro'} {i};"
            f"{'Störung' if i % 2 else 'Wunsch'}\r\n"
            for i in range(60)
        ).encode("cp1252")
    )
    sheet(folder / "reviews.xlsx", [list(pair) for pair in zip(body, queue, strict=True)])
    write(
        "toxic.csv", ["text", "rude", "loud"], [[t, i % 2, i % 3 % 2] for i, t in enumerate(body)]
    )
    write("ratings.csv", ["text", "stars"], [[t, i % 5 + 1] for i, t in enumerate(body)])
    (folder / "notes.txt").write_text("\n".join(body), encoding="utf-8")
    words = ["Ann Lee flew to Paris on Monday .", "We met Tom in New York ."]
    tags = ["B-PER I-PER O O B-LOC O B-DATE O", "O O B-PER O B-LOC I-LOC O"]
    (folder / "people.conll").write_text(
        "".join(
            "".join(
                f"{w} {t}\n" for w, t in zip(words[i % 2].split(), tags[i % 2].split(), strict=True)
            )
            + f"{i} O\n\n"
            for i in range(40)
        )
    )
    paris = {"start": 16, "end": 21, "label": "LOC", "text": "Paris"}
    (folder / "marked.jsonl").write_text(
        "".join(
            json.dumps({"text": f"Ann Lee flew to Paris {i}", "entities": [paris]}) + "\n"
            for i in range(40)
        )
    )
    endings = ["ending0", "ending1", "ending2", "ending3"]
    write("swag.csv", ["sent1", "sent2", *endings, "label"], [
        [t, "it is", *(f"{'on time' if j == i % 4 else 'late'} {i + j}" for j in range(4)), i % 4]
        for i, t in enumerate(body)
    ])  # fmt: skip
    write(
        "pairs.csv",
        ["question", "answer", "good", "relevant"],
        [[body[i - i % 2], "yes" * (i % 3 + 1), "ab"[i % 2], i % 2] for i in range(len(body))],
    )
    (folder / "passages.jsonl").write_text(
        "".join(
            json.dumps({"query": f"what is {i}?", "pos": [f"{i} {t}"], "neg": [f"no {t}", "none"]})
            + "\n"
            for i, t in enumerate(body)
        )
    )
    pairs = [[f"what was {i // 3}?", f"{i} {t}", int(i % 3 == 0)] for i, t in enumerate(body)]
    write("judged.csv", ["query", "passage", "label"], pairs)
    write("candidates.csv", ["query", "passage"], [pair[:2] for pair in pairs])
    (folder / "squad.json").write_text(json.dumps({"data": [
        {"title": t, "paragraphs": [{"context": f"{t}. It is in the hall.", "qas": [
            {"id": f"{i}-0", "question": "Where is it?", "is_impossible": False,
             "answers": [{"text": "the hall", "answer_start": len(t) + 11}]},
            {"id": f"{i}-1", "question": "When is it?", "is_impossible": True, "answers": []},
        ]}]}
        for i, t in enumerate(body)
    ]}))  # fmt: skip
    return folder


@pytest.fixture
def desk(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages use."""
    monkeypatch.chdir(shutil.copytree(files, tmp_path, dirs_exist_ok=True))
    return tmp_path


def sheet(path: Path, rows: list[list[str]]) -> None:
    """An Excel file with a sheet of reviews behind another one."""
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "Notes"
    reviews = book.create_sheet("Reviews")
    for row in (["text", "label"], *rows):
        reviews.append(row)
    book.save(path)
    book.close()


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = doc_outputs.shown_outputs(page)
    for runs, code in blocks(page, "sh"):
        capsys.readouterr()
        for line in code.splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] != "tunesmith":
                continue
            assert words[1] in COMMANDS, line
            if runs:
                if words[1] == "train" and "train.epochs" not in line:
                    words += ["--set", "train.epochs=1"]
                assert main(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
        check_output(shown.get(code), capsys.readouterr().out)
    assert desk.is_dir()


@pytest.mark.parametrize("page", APART, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_runs(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if page.parent == ROOT:
        write_tickets(desk)  # what the pictures of the README are made from
    shown = doc_outputs.shown_outputs(page)
    for runs, code in blocks(page, "python"):
        if runs:
            capsys.readouterr()
            exec(compile(code, str(page), "exec"), {"__name__": "__main__"})
            check_output(shown.get(code), capsys.readouterr().out)


def check_output(shown: str | None, printed: str) -> None:
    """Compare the output that a page shows, if it does."""
    if shown is not None:
        assert doc_outputs.agree(shown, printed), f"the page shows:\n{shown}printed:\n{printed}"


def test_shown_outputs_are_found_and_compared(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    python, text = "```python\nprint(0.51)\n```\n", "```text\n0.50\n```\n"
    page.write_text(
        f"{python}\n{text}{python}\nProse.\n\n{text}<!-- not run: why -->\n{python}{text}"
    )
    assert doc_outputs.shown_outputs(page) == {"print(0.51)\n": "0.50\n"}
    assert doc_outputs.agree("a 0.50\n", "a 0.51\n")
    for other in ("a 0.60\n", "b 0.50\n", "a 0.50 0.50\n"):
        assert not doc_outputs.agree("a 0.50\n", other)
    for readme in PAGES[:2]:
        assert doc_outputs.shown_outputs(readme)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    assert doc_twins.broken_links(page) == []


@pytest.mark.parametrize("page", TWINS, ids=lambda page: str(page.relative_to(ROOT)))
def test_chinese_page_has_what_the_english_one_has(page: Path) -> None:
    assert list(doc_twins.differences(doc_twins.twin(page), page)) == []
    assert doc_twins.foreign_links(page) == []


@pytest.mark.parametrize("page", TWINS, ids=lambda page: str(page.relative_to(ROOT)))
def test_shown_outputs_have_the_same_numbers_in_both_languages(page: Path) -> None:
    chinese, english = (
        [re.findall(r"\d\.\d{2,}", code) for _runs, code in blocks(one, "text")]
        for one in (page, doc_twins.twin(page))
    )
    assert chinese == english


def test_pages_have_code_and_links() -> None:
    """The tests of this file loop over code and links of the pages: there must be some."""
    for page in PAGES[:2]:
        assert len(doc_twins.links(page)) > 5
        assert any(runs for runs, _code in blocks(page, "python"))
        lines = [line for runs, code in blocks(page, "sh") if runs for line in code.splitlines()]
        assert sum(line.startswith("tunesmith ") for line in lines) > 3
    how_to = [page for page in APART if page.parent == ROOT / "docs" / "how-to"]
    code = [code for page in how_to for runs, code in blocks(page, "sh") if runs]
    lines = [line for block in code for line in block.splitlines()]
    assert sum(line.startswith("tunesmith ") for line in lines) > 30


def test_recipe_reference_is_current() -> None:
    """All generated pages, in both languages."""
    outdated = [str(path.relative_to(ROOT)) for path in generate.outdated()]
    assert outdated == [], "run `python -m docs.generate`"


def test_files_named_in_pages_exist() -> None:
    named = [
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`((?:src|tests|benchmarks|docs)/[\w./-]+)`", page.read_text())
    ]
    assert len(named) > 10
    assert [(page, path) for page, path in named if not (ROOT / path.rstrip("/")).exists()] == []


RECIPE = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
KEYS = frozenset(re.findall(r"^\| `([\w.]+)`", RECIPE, re.MULTILINE))
NAMES = Names(ROOT, KEYS)


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_in_pages_exist(page: Path) -> None:
    unknown = unknown_names(page.read_text(encoding="utf-8"), NAMES)
    assert unknown == [], "use the present names of these, or take them out of the page"


def test_packages_name_their_modules(tmp_path: Path) -> None:
    packages = {path.parent for path in NAMES.source.rglob("__init__.py")}
    unknown = {str(path): NAMES.unknown_in_package(path) for path in packages}
    assert {path: words for path, words in unknown.items() if words} == {}
    package = tmp_path / "src" / "tunesmith"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""`loop` and `lop`."""')
    (package / "loop.py").touch()
    assert Names(tmp_path).unknown_in_package(package) == ["lop"]


def test_scripts_import_names_that_exist(tmp_path: Path) -> None:
    """Benchmarks and the pretraining, which no other test imports."""
    scripts = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "pretraining").glob("*.py")]
    assert len(scripts) > 10
    assert {path.name: NAMES.missing_imports(path) for path in scripts} == {
        path.name: [] for path in scripts
    }
    (tmp_path / "x.py").write_text("from tunesmith.training.loop import train, none\n")
    assert NAMES.missing_imports(tmp_path / "x.py") == ["tunesmith.training.loop.none"]


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ("training/loop.py", "training/loops.py"),
        ("loop.py", "oop.py"),
        ("tests/test_docs.py", "tests/test_doc.py"),
        ("tunesmith.training.loop", "tunesmith.training.loops"),
        ("tunesmith.training.loop.train", "tunesmith.training.loop.test"),
        ("tunesmith.runs", "tunesmith.run"),
        ("ts.train", "ts.no_such_name"),
        ("loop.train(...)", "loop.no_such_name(...)"),
        ("atomic.publish", "atomic.no_such_name"),
        ("Plan.learning_rate_at", "Plan.no_such_name"),
        ("plan.Plan.learning_rate_at", "plan.Plan.no_such_name"),
        ("train.epochs", "recorder.epochs"),
        ("torch.randperm", "plan.randperm"),
    ],
)
def test_unknown_names_are_found(known: str, unknown: str) -> None:
    assert unknown_names(f"a `{known}`\n```\n`{unknown}`\n```\n", NAMES) == []
    assert unknown_names(f"a `{known}` and `{unknown}`, and `x`", NAMES) == [unknown]
