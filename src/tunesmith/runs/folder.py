"""The run folder: where everything of one run lies, and what its state is. No torch.

runs/NAME/
  recipe.yaml      as asked, every default visible
  plan.json        what was derived, with fingerprints of data, tokenizer, code and machine
  events.jsonl     append-only, one writer
  rejected.jsonl   rows in quarantine, each with its reason, if there are any
  checkpoints/     whole folders, one per saved step
  model/           the best model
  predictions/     one Parquet file per evaluated split
  report.html      all of it, to read
  job.json         how it ended, as a job of `tunesmith many`
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.open import looks_like_a_file
from tunesmith.errors import Place, RecipeError, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.runs.event_history import History, read_events, read_history
from tunesmith.runs.stored import read_plan, read_run_facts
from tunesmith.storage import atomic
from tunesmith.storage.disk import is_too_long, name_too_long
from tunesmith.storage.names import RUNS
from tunesmith.storage.operating_system import file_name

__all__ = [
    "RUNS",
    "RunFolder",
    "refuse_other",
    "refuse_unfinished",
    "run_name",
    "runs_under",
]

_OWN_NAMES = (
    r"recipe\.yaml|plan\.json|rejected\.jsonl|report\.html|job\.json|model|predictions|preflight"
    r"|step-\d{8,}"
)
"""What is written into a run folder under a name of its own while it is unfinished."""
_LEFT_BEHIND = re.compile(
    rf"\.lock|\.holder\.json(-(now-)?\d+)?|\.(tmp|trash|old)-({_OWN_NAMES})-\d+"
    rf"|\.bad-({_OWN_NAMES})-\d{{8}}T\d{{6}}(-\d+)?|\.DS_Store|job\.json"
)
"""Files of a run that never began; with nothing else the folder is as good as empty."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on disk.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.resolve().name

    @property
    def recipe(self) -> Path:
        """The recipe of the run."""
        return self.path / "recipe.yaml"

    @property
    def plan(self) -> Path:
        """What was derived from it."""
        return self.path / "plan.json"

    @property
    def log(self) -> Path:
        """The events."""
        return self.path / "events.jsonl"

    @property
    def rejected(self) -> Path:
        """The rows in quarantine, each with its reason."""
        return self.path / "rejected.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """Where the predictions lie."""
        return self.path / "predictions"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.recipe.is_file()

    @property
    def has_traces(self) -> bool:
        """Whether the folder is a run, or was one before its recipe was lost."""
        marks = (self.recipe, self.plan, self.log, self.checkpoints)
        try:
            return self.path.is_dir() and any(map(os.path.lexists, marks))
        except OSError:
            return False

    @property
    def is_finished(self) -> bool:
        """Whether the finished model is there, to the byte."""
        return self.model.is_dir() and atomic.damage(self.model) is None

    def foreign_entries(self) -> list[str]:
        """The names of what is in the folder and was not made by a run, in order."""
        own = re.compile(rf"{_OWN_NAMES}|events\.jsonl|checkpoints|trackers")
        return sorted(
            entry
            for entry in os.listdir(self.path)  # noqa: PTH208 - it takes links as they are
            if not own.fullmatch(entry) and not _LEFT_BEHIND.fullmatch(entry)
        )

    def sweep(self) -> None:
        """Clear away what a kill left unfinished. Only for one who holds the folder.

        Raises:
            ResourceError: the disk does not let a folder have its name back (C107).
        """
        atomic.sweep(self.path, _OWN_NAMES)
        atomic.sweep(self.checkpoints, r"step-\d{8,}")
        atomic.sweep(self.predictions, r"\w+\.parquet|MANIFEST\.json")

    def facts(self) -> dict[str, Any]:
        """What `tunesmith.json` of the finished model holds; empty if it is not finished.

        Raises:
            IntegrityError: it is damaged (C138).
        """
        return read_run_facts(self.model / "tunesmith.json")

    def plan_facts(self) -> dict[str, Any]:
        """What `plan.json` holds; empty if it is not there.

        Raises:
            IntegrityError: it is damaged (C138).
        """
        return read_plan(self.plan)

    def events(self) -> list[dict[str, Any]]:
        """All events, each step once: where a step was made again, the later line counts.

        Damaged lines, and a torn last one as a kill leaves it, are left out.
        """
        latest: dict[tuple[object, ...], dict[str, Any]] = {}
        for number, event in enumerate(read_events(self.log)):
            kind = event["event"]
            warning = number if kind == "warned" else None
            key = (kind, event["step"], event.get("split"), warning)
            latest.pop(key, None)
            latest[key] = event
        return sorted(latest.values(), key=lambda event: int(event["step"]))

    def history(self) -> History:
        """The same, thinned out where there are very many, and how many lines are damaged."""
        return read_history(self.log)

    def warnings(self) -> list[str]:
        """What was warned of: code and message of each, once, in the order it was reported."""
        warned = (event for event in read_events(self.log) if event["event"] == "warned")
        return list(dict.fromkeys(f"{event['code']} {event['message']}" for event in warned))


def run_name(where: str) -> str:
    """The name of a run from what it was started with: the stem of a file, or a data set's name.

    It is one that every system takes for a folder, also where the run is copied to later.
    """
    name = where.removeprefix("embedded:").rstrip("/")
    if looks_like_a_file(name) or Path(name).exists():
        name = Path(Path(name).name.removesuffix(".gz")).stem
    return file_name(name) or "run"


def runs_under(root: Path) -> Iterator[RunFolder]:
    """The runs in a folder, the newest first; damaged ones that lost their recipe, too.

    Raises:
        ResourceError: the folder cannot be read (C107).
    """
    if not root.is_dir():
        return
    try:
        started = [
            (_modified(run.recipe), run) for run in map(RunFolder, root.iterdir()) if run.has_traces
        ]
    except OSError as error:
        raise ResourceError.of(
            "C107",
            _("the folder cannot be read: {reason}").format(reason=error.strerror),
            Place(str(root)),
            fix=_("Choose another folder, or change its permissions."),
        ) from error
    yield from (run for _time, run in sorted(started, key=lambda pair: pair[0], reverse=True))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def refuse_unfinished(run: RunFolder) -> None:
    """Refuse a run without a whole model.

    Raises:
        RecipeError: it is not finished (C114).
    """
    if not run.is_finished:
        raise RecipeError.of(
            "C114",
            _("the run is not finished"),
            Place(str(run.path)),
            fix=_("Run the same train command again to finish it."),
        )


def refuse_other(run: RunFolder) -> None:
    """Refuse a folder that holds something else than a run.

    Raises:
        ResourceError: there is something and it is not a run (C111).
        RecipeError: no disk takes such a name (R195).
    """
    try:
        is_other = (
            any(not _LEFT_BEHIND.fullmatch(path.name) for path in run.path.iterdir())
            if run.path.is_dir() and not run.exists
            else run.path.exists() and not run.path.is_dir()
        )
    except OSError as error:
        if is_too_long(error):
            raise RecipeError(name_too_long(run.path)) from error
        raise ResourceError.of(
            "C107",
            _("the folder cannot be read: {reason}").format(reason=error.strerror),
            Place(str(run.path)),
            fix=_("Choose another one with --out; nothing was changed."),
        ) from error
    if is_other:
        raise ResourceError.of(
            "C111",
            _("the folder exists and is not a run"),
            Place(str(run.path)),
            fix=_("Choose another one with --out; nothing was changed."),
        )
