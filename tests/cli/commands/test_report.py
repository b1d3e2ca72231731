"""`tunesmith report`."""

from __future__ import annotations

import html
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tunesmith.analysis.report import _without_folders, write_report
from tunesmith.i18n import use_language
from tunesmith.metrics.headline import Outcome, headline
from tunesmith.runs.folder import RunFolder


def test_training_wrote_it_and_it_can_be_written_again(tunesmith: Command, trained: Path) -> None:
    report = trained / "report.html"
    english = report.read_text(encoding="utf-8")
    use_language("zh")
    write_report(RunFolder(trained))
    use_language("en")
    chinese = report.read_text(encoding="utf-8")
    assert 'lang="zh"' in chinese
    assert "复现" in chinese
    output = tunesmith("report", trained)
    assert (output.code, output.out.strip()) == (0, str(report))
    assert report.read_text(encoding="utf-8") == english
    assert "Reproduce" in english


def test_unknown_or_unfinished_run(tunesmith: Command, tmp_path: Path) -> None:
    assert "C113" in tunesmith("report", "nowhere").err
    begun = tmp_path / "runs" / "begun"
    begun.mkdir(parents=True)
    (begun / "recipe.yaml").write_text("data:\n  train: a.csv\n", encoding="utf-8")
    output = tunesmith("report", "begun")
    assert (output.code, "C114" in output.err) == (2, True)


def test_shortfall_comes_first(tunesmith: Command, trained: Path) -> None:
    """The first sentence below the name, in both languages; a table that is cut shows it."""
    run = RunFolder(trained)
    facts = run.facts()
    tunesmith("report", trained)
    page = run.report.read_text(encoding="utf-8")
    expected = html.escape(headline(facts).sentence, quote=True)
    assert page.index("<h1>") < page.index(expected) < page.index('class="lead"')
    is_good = headline(facts).outcome is Outcome.GOOD
    assert ('class="headline good"' in page) is is_good is not bool(facts["verdicts"])
    assert "Training again with another seed adds to it" in page
    tables = page.count("<table")
    assert tables > 3 and page.count('<div class="wide" tabindex="0" role="region"') == tables
    assert "local," in page and "scroll," in page  # the shades at the edges
    assert "::-webkit-scrollbar {" in page
    use_language("zh")
    write_report(run)
    page = run.report.read_text(encoding="utf-8")
    use_language("en")
    write_report(run)
    assert "验证" in page[page.index("<h1>") : page.index('class="lead"')]


def test_a_run_without_scores_says_so(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(trained)
    facts = {**run.facts(), "scores": {}, "verdicts": {}}
    monkeypatch.setattr(RunFolder, "facts", lambda _run: facts)
    before = run.report.read_bytes()
    write_report(run)
    page = run.report.read_text(encoding="utf-8")
    run.report.write_bytes(before)
    assert '<p class="headline neutral">Not scored' in page


def test_no_path_of_the_machine_is_written(
    tunesmith: Command, tmp_path: Path, tiny_bert: Path
) -> None:
    """Report, card and metadata are sent to others: files and folders are names there."""
    folder = tmp_path / "deep" / "a folder of mine"
    folder.mkdir(parents=True)
    rows = [f"text number {i} of the printer,{'ab'[i % 2]}" for i in range(24)]
    for name, part in (("train", rows[:16]), ("held_out", rows[14:20]), ("test", rows[12:])):
        text = "\n".join(["text,label", *part]) + "\n"
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    model = shutil.copytree(tiny_bert, folder / "my model")
    output = tunesmith(
        "train", folder / "train.csv", "--validation", folder / "held_out.csv", "--allow-leak",
        "--test", folder / "test.csv", "--model", model, "--out", folder / "my run",
        "--set", "train.epochs=1", "--set", "train.max_length=4",
    )  # fmt: skip
    assert output.code == 0, output.err
    run = RunFolder(folder / "my run")
    for path in (run.report, run.model / "README.md", run.model / "tunesmith.json"):
        text = path.read_text(encoding="utf-8")
        assert "my model" in text, path
        for part in (tmp_path, folder.name, tiny_bert.parent, Path.cwd(), tmp_path.parent):
            assert str(part) not in text, (path, part)
    page = run.report.read_text(encoding="utf-8")
    assert "held_out.csv" in page and "D40" in page


def test_paths_in_a_warning_become_names() -> None:
    plan = {"data": {"train": {"source": "/home/me/my data/a b.csv"}}}
    for line, expected in (
        ("D401 /home/me/my data/a b.csv:7 as /srv/x/c.csv:9", "D401 a b.csv:7 as c.csv:9"),
        (r"M110 in C:\Users\me\model: odd", "M110 in model: odd"),
        ('"/var/log" is cut', '"log" is cut'),
        ("1/2 of a/b and http://x.y/z", "1/2 of a/b and http://x.y/z"),
        ("nothing / to see", "nothing / to see"),
    ):
        assert _without_folders(line, plan) == expected
