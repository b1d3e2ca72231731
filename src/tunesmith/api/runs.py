"""Finished runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunesmith.analysis.curves.diagnosis import Assessment
from tunesmith.analysis.curves.explain import explain
from tunesmith.api.display.score_tables import spread_rows
from tunesmith.i18n import gettext as _
from tunesmith.metrics.headline import headline
from tunesmith.metrics.score_table import numeric_titles, score_tables
from tunesmith.remote.location import Location
from tunesmith.runs.folder import RunFolder, runs_under
from tunesmith.runs.seeds import spread_over
from tunesmith.storage.disk import as_path
from tunesmith.storage.names import RUNS, locate_run
from tunesmith.text import html_table, html_text

if TYPE_CHECKING:
    from tunesmith.analysis.label_errors import RowError
    from tunesmith.metrics.calibration import CalibrationResult
    from tunesmith.metrics.uncertainty import Spread

__all__ = ["Run", "Runs", "fetch_run", "find_run", "list_runs"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: holds all of it.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """The folder of the model, for `ts.load`, `AutoModel…from_pretrained` or `pipeline`."""
        return RunFolder(self.folder).model

    @property
    def facts(self) -> dict[str, Any]:
        """The content of `tunesmith.json`, with steps, best step, times, and scores by split."""
        return RunFolder(self.folder).facts()

    @property
    def scores(self) -> dict[str, float | None]:
        """The scores of the finished model on validation; empty without validation rows."""
        return dict(self.facts.get("scores", {}).get("validation", {}))

    @property
    def test_scores(self) -> dict[str, float | None]:
        """The scores of the finished model on the test rows; empty without labeled test rows."""
        return dict(self.facts.get("scores", {}).get("test", {}))

    @property
    def report(self) -> Path:
        """The HTML report."""
        return RunFolder(self.folder).report

    def _repr_html_(self) -> str:
        """Return state, scores and paths for a notebook."""
        folder = RunFolder(self.folder)
        facts = folder.facts()
        state = _("finished") if facts else _("not finished")
        parts = [f"<strong>{html_text(self.folder)}</strong> · {html_text(state)}"]
        if facts:
            parts.append(html_text(f"→ {headline(facts).sentence}"))
        for _split, rows in score_tables(facts):
            parts.append(html_table(rows, align_right=numeric_titles()))
        if facts:
            parts.append(_("model  {path}").format(path=f"<code>{html_text(self.model)}</code>"))
        if self.report.is_file():
            link = f'<a href="{html_text(self.report)}">{html_text(self.report)}</a>'
            parts.append(_("report {path}").format(path=link))
        return "<div>" + "".join(f"<div>{part}</div>" for part in parts) + "</div>"

    def calibrate(self, goal: str | None = None) -> CalibrationResult:
        """Calibrate probabilities on the validation rows, and set thresholds for a goal.

        Both are saved with the model: `ts.load(run.model).predict(texts, calibrated=True)`.

        Args:
            goal: "f1", "precision=0.9" or "accuracy=0.95"; None for a temperature alone.

        Raises:
            TunesmithError: the run cannot be calibrated, or not to this goal.
        """
        from tunesmith.analysis.calibrate import calibrate_run
        from tunesmith.metrics.thresholds import Goal

        return calibrate_run(RunFolder(self.folder), goal=Goal.read(goal) if goal else None)

    def events(self) -> list[dict[str, Any]]:
        """Return what is in `events.jsonl`."""
        return RunFolder(self.folder).events()

    def explain(self) -> tuple[Assessment, ...]:
        """Return what the curves show, the most important first: diagnosis, evidence, change."""
        return explain(RunFolder(self.folder))

    def eject(
        self,
        path: str | Path,
        *,
        style: str = "trainer",
        strict: bool = False,
        force: bool = False,
    ) -> Path:
        """Write the run as a plain script, or as a notebook where `path` ends in `.ipynb`.

        Args:
            path: of the script.
            style: "trainer", "loop" or "accelerate".
            strict: fail if any part of the run cannot be reproduced.
            force: replace existing files.

        Raises:
            TunesmithError: the run cannot be written as a script.
        """
        from tunesmith.interop.eject.write import eject

        return eject(
            RunFolder(self.folder), as_path(path), style=style, strict=strict, force=force
        ).path

    def errors(
        self,
        top: int | None = 10,
        *,
        kind: Literal["worst", "suspect"] = "worst",
        split: str | None = None,
    ) -> list[RowError]:
        """Return the rows that go wrong, as `tunesmith errors` shows them.

        Args:
            top: how many; None for all.
            kind: "worst" for the held-out rows with the highest loss, "suspect" for the rows of
                all splits that are probably mislabeled.
            split: only the rows of "validation", "test" or "train".

        Raises:
            TunesmithError: the run is not finished, or has no labeled rows there.
        """
        from tunesmith.analysis.label_errors import examine

        examined = examine(RunFolder(self.folder), split)
        return examined.worst(top) if kind == "worst" else examined.suspect(top)


@dataclass(frozen=True)
class Runs:
    """Finished runs of one recipe with several seeds.

    Attributes:
        runs: in the order of their seeds.
    """

    runs: tuple[Run, ...]

    @property
    def spread(self) -> dict[str, dict[str, Spread]]:
        """Mean, deviation, lowest and highest over the seeds, by split and score."""
        return spread_over([RunFolder(run.folder) for run in self.runs])

    @property
    def scores(self) -> dict[str, float]:
        """The mean of each score on validation; empty without validation rows."""
        return {name: spread.mean for name, spread in self.spread.get("validation", {}).items()}

    def _repr_html_(self) -> str:
        """Return mean, deviation and range of each score for a notebook."""
        tables = []
        for split, scores in self.spread.items():
            rows = spread_rows(split, scores)
            tables.append(html_table(rows, align_right=list(rows[0])[1:]))
        seeds = _("{count} seeds").format(count=len(self.runs))
        return f"<div>{html_text(seeds)}</div>" + "".join(tables)


def find_run(name: str | Path, root: str | Path = RUNS) -> Run:
    """Return a run by its path, or by its name under `root`.

    Raises:
        RecipeError: there is none (C113).
    """
    return Run(locate_run(name, root))


def fetch_run(address: str, out: str | Path | None = None) -> Run:
    """Fetch a run from the store that it was trained with, also while it goes on elsewhere.

    Args:
        address: such as "s3://BUCKET/PATH".
        out: the run folder; None for `runs/NAME`.

    Raises:
        TunesmithError: there is none, the store cannot be used, or the folder holds another run.
    """
    from tunesmith.runs import remote_folder
    from tunesmith.runs.start import held, run_folder

    location = Location.read(address)
    run = run_folder(out, named_after=location.prefix.rpartition("/")[2])
    with held(run):
        remote_folder.fetch_run(location, run)
    return Run(run.path)


def list_runs(root: str | Path = RUNS) -> list[Run]:
    """Return the runs in a folder, the newest first."""
    return [Run(run.path) for run in runs_under(as_path(root))]
