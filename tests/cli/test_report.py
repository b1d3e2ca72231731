"""`tunesmith report`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.language import use_language
from tunesmith.report import write_report
from tunesmith.run.folder import RunFolder


def test_training_wrote_it_and_it_can_be_written_again(tunesmith: Command, trained: Path) -> None:
    report = trained / "report.html"
    english = report.read_text(encoding="utf-8")
    use_language("zh")
    write_report(RunFolder(trained))
    use_language("en")
    chinese = report.read_text(encoding="utf-8")
    assert 'lang="zh"' in chinese
    assert "如何重做" in chinese
    said = tunesmith("report", trained)
    assert (said.code, said.out.strip()) == (0, str(report))
    assert report.read_text(encoding="utf-8") == english
    assert "How to make it again" in english


def test_a_run_that_is_not_there_or_not_finished(tunesmith: Command, tmp_path: Path) -> None:
    assert "C113" in tunesmith("report", "nowhere").err
    begun = tmp_path / "runs" / "begun"
    begun.mkdir(parents=True)
    (begun / "recipe.yaml").write_text("data:\n  train: a.csv\n", encoding="utf-8")
    said = tunesmith("report", "begun")
    assert (said.code, "C114" in said.err) == (2, True)
