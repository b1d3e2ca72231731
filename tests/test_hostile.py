"""Thirty hostile strings as text, label, column, file and run name: shown, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.cli.conftest import Command
from tests.cli.conftest import tunesmith as tunesmith  # noqa: PLC0414 - a fixture
from tests.hostile import HOSTILE, OWNED, Elements, as_name, live_lines
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.text import escape_controls

Browser = Callable[[str], Elements]
ROWS = 30
MINI = ["--model", "embedded:mini"]
QUICK = ["--label", "kind", *MINI, "--set", "train.max_steps=2", "--set", "train.batch_size=4"]
each = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def written(path: Path, texts: list[str], column: str, labels: list[str]) -> Path:
    """JSON lines, which hold any character; each text with each label in turn."""
    rows = [
        {column: f"{text} {i} {i * 7919}", "kind": labels[i % len(labels)]}
        for i, text in enumerate(texts)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def card_of(run: RunFolder) -> str:
    """The card as HTML, without its metadata."""
    text = (run.model / "README.md").read_text(encoding="utf-8")
    _nothing, metadata, body = text.split("---\n", 2)
    assert "library_name: transformers" in metadata
    return MarkdownIt("commonmark").enable("table").render(body)


def nothing_is_born(html: str) -> Elements:
    elements = Elements(html)
    assert not elements.faults
    assert escape_controls(html, keep="\n\t") == html
    return elements


@each
def test_check_shows_it(tunesmith: Command, tmp_path: Path, text: str) -> None:
    path = written(tmp_path / f"{as_name(text)}.jsonl", ["a fine text"] * ROWS, text, [text, "b"])
    said = tunesmith("check", path, "--label", "kind", *MINI)
    assert said.code == 0, said
    assert not live_lines(said.out + said.err)
    (record,) = tunesmith("check", path, "--label", "kind", *MINI, "--json").records
    assert record["is_good"]


@each
def test_a_recipe_says_it_and_is_read_back(tunesmith: Command, tmp_path: Path, text: str) -> None:
    path = written(tmp_path / f"{as_name(text)}.jsonl", ["a fine text"] * ROWS, text, [text, "b"])
    said = tunesmith("init", path, "--label", "kind", "--out", "r.yaml")
    assert said.code == 0, said
    assert not live_lines(said.out + said.err)
    recipe = gather(file=Path("r.yaml"), environment={}).recipe()
    assert recipe.data.text == text
    assert recipe.data.train == str(path)


def test_name_that_no_disk_accepts_is_an_error(tunesmith: Command, tickets: Path) -> None:
    long = "x" * 300
    for words, code in (
        (["check", f"{long}.csv"], "R195"),
        (["train", tickets, "--out", long], "R195"),
        (["report", long], "C113"),  # no run has such a name
    ):
        said = tunesmith(*words)
        assert said.code == 2
        assert f"error {code} xxx" in said.out + said.err


def test_a_file_name_need_not_be_utf_8(tunesmith: Command, tickets: Path) -> None:
    odd = tickets.rename(os.fsdecode(b"odd\xff.csv"))
    said = tunesmith("init", odd, "--out", "r.yaml")
    assert said.code == 0, said.err
    assert r"odd\udcff.csv" in said.out
    assert gather(file=Path("r.yaml"), environment={}).recipe().data.train == str(odd)


def test_a_run_on_all_of_them(tunesmith: Command, tmp_path: Path) -> None:
    path = written(tmp_path / "all.jsonl", [*HOSTILE.values()] * 2, "body", ["a", "b", "c"])
    said = tunesmith("train", path, "--out", "run", *QUICK, "--set", "data.allow_leak=true")
    assert said.code == 0, said.err
    run = RunFolder(Path("run"))
    for words in ("errors", "runs explain"):
        output = tunesmith(*words.split(), "run")
        assert output.code == 0, output.err
        assert not live_lines(output.out + output.err)
    assert not live_lines(said.out + said.err)
    report = nothing_is_born(run.report.read_text(encoding="utf-8"))
    card = nothing_is_born(card_of(run))
    assert "D321" in report.words
    assert "D321" in card.words
    assert card.tags.count("h1") == 1
    assert "img" not in card.tags + report.tags


def whole_run(tunesmith: Command, folder: Path, text: str) -> RunFolder:
    """A run that bears the text wherever one can, and every word that was said of it."""
    name = as_name(text)
    path = written(folder / f"{name}.jsonl", [text] * ROWS, text, [text, "b", "c"])
    out = folder / "runs" / name
    for words in (
        ["train", path, "--out", out, *QUICK, "--validation", "20%", "--allow-leak"],
        ["calibrate", out, "--goal", "precision=0.1"],
        ["report", out],
        ["errors", out],
        ["runs", "list", "--root", folder / "runs"],
        ["runs", "show", out],
        ["predict", out, "--calibrated", "--", text],
        ["data", "show", path],
        ["eject", out, "--out", folder / "ejected.py"],
    ):
        said = tunesmith(*words)
        assert said.code == 0, said.err
        assert not live_lines(said.out + said.err), words
    return RunFolder(out)


@pytest.fixture
def opened(tmp_path: Path) -> Browser:
    """What a browser makes of a page; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync"
    ).split()

    def dom(html: str) -> Elements:
        page = tmp_path / "page.html"
        page.write_text(html, encoding="utf-8")
        command = [chromium, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
        done = subprocess.run(
            [*command, page.as_uri()], capture_output=True, check=True, timeout=200
        )
        return Elements(done.stdout.decode("utf-8"))

    return dom


@pytest.mark.slow
@each
def test_a_whole_run_shows_it(
    tunesmith: Command, tmp_path: Path, opened: Browser, text: str
) -> None:
    run = whole_run(tunesmith, tmp_path, text)
    compile((tmp_path / "ejected.py").read_text(encoding="utf-8"), "ejected.py", "exec")
    html = run.report.read_text(encoding="utf-8")
    report = nothing_is_born(html)
    seen = opened(html)
    assert seen.faults == []
    assert seen.title == report.title == escape_controls(run.name, keep="\n\t")
    assert [tag for tag in seen.tags if tag != "tbody"] == [
        tag for tag in report.tags if tag != "tbody"
    ]
    body = card_of(run)
    card = nothing_is_born(body)
    assert "Thresholds" in card.words
    page = f"<!doctype html><html><head><title>card</title></head><body>\n{body}</body></html>"
    seen = opened(page)
    assert seen.tags == Elements(page).tags
    assert seen.title == "card"


@pytest.mark.slow
def test_a_page_that_does_something_is_seen(opened: Browser) -> None:
    elements = opened(f"<!doctype html><title>mine</title><p>x<script>{OWNED}</script>")
    assert elements.title == "owned"
    assert "script" in elements.faults
