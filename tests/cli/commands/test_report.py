"""`tunesmith report`."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tunesmith.analysis.report import write_report
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
    assert "如何重做" in chinese
    output = tunesmith("report", trained)
    assert (output.code, output.out.strip()) == (0, str(report))
    assert report.read_text(encoding="utf-8") == english
    assert "How to make it again" in english


def test_unknown_or_unfinished_run(tunesmith: Command, tmp_path: Path) -> None:
    assert "C113" in tunesmith("report", "nowhere").err
    begun = tmp_path / "runs" / "begun"
    begun.mkdir(parents=True)
    (begun / "recipe.yaml").write_text("data:\n  train: a.csv\n", encoding="utf-8")
    output = tunesmith("report", "begun")
    assert (output.code, "C114" in output.err) == (2, True)


def test_verdict_comes_first(tunesmith: Command, trained: Path) -> None:
    """The first sentence below the name, in both languages; a table that is cut shows it."""
    run = RunFolder(trained)
    facts = run.facts()
    tunesmith("report", trained)
    page = run.report.read_text(encoding="utf-8")
    expected = html.escape(headline(facts).sentence, quote=True)
    assert page.index("<h1>") < page.index(expected) < page.index('class="lead"')
    is_good = headline(facts).outcome is Outcome.GOOD
    assert ('class="headline good"' in page) is is_good is not bool(facts["verdicts"])
    assert "Training again with another seed adds to that" in page
    tables = page.count("<table")
    assert tables > 3 and page.count('<div class="wide" tabindex="0"><table') == tables
    assert "local," in page and "scroll," in page  # the shades at the edges
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
