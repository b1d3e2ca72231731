"""The run folder: where everything of one run lies, and what its state is. No torch.

runs/NAME/
  recipe.yaml      as asked, every default visible
  plan.json        what was derived, with fingerprints of data, tokenizer, code and machine
  events.jsonl     append-only, one writer
  rejected.jsonl   rows in quarantine, each with its reason, if there are any
  checkpoints/     whole folders, one per saved step
  model/           the best model
  predictions/     one Parquet file per evaluated split
  report.html      all of it for people
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tunesmith import commit
from tunesmith.data.sources import looks_like_a_file
from tunesmith.errors import Place, Problem, RecipeError, ResourceError, inert
from tunesmith.events import Evaluated, Event, Saved, StepDone, Warned
from tunesmith.language import gettext as _
from tunesmith.metrics import Scores
from tunesmith.naming import RUNS

__all__ = [
    "RUNS",
    "EventLog",
    "RunFolder",
    "as_line",
    "refuse_other",
    "refuse_unfinished",
    "run_name",
    "runs_under",
]

_OWN_NAMES = (
    r"recipe\.yaml|plan\.json|rejected\.jsonl|report\.html|model|predictions|preflight|step-\d{8,}"
)
"""What is written into a run folder under a name of its own while it is unfinished."""
_LEFT_BEHIND = re.compile(
    rf"\.lock|\.holder\.json(-(now-)?\d+)?|\.(tmp|trash|old)-({_OWN_NAMES})-\d+"
    rf"|\.bad-({_OWN_NAMES})-\d{{8}}T\d{{6}}(-\d+)?|\.DS_Store"
)
"""Hidden files of a run that never began; with nothing else the folder is as good as empty."""


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
        """The recipe as it was asked."""
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
        """The page that tells of it."""
        return self.path / "report.html"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.recipe.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the finished model is there, to the byte."""
        return self.model.is_dir() and commit.damage(self.model) is None

    def sweep(self) -> None:
        """Clear away what a kill left unfinished. Only for one who holds the folder.

        Raises:
            ResourceError: the disk does not let a folder have its name back (C107).
        """
        commit.sweep(self.path, _OWN_NAMES)
        commit.sweep(self.checkpoints, r"step-\d{8,}")
        commit.sweep(self.predictions, r"\w+\.parquet|MANIFEST\.json")

    def facts(self) -> dict[str, Any]:
        """What `tunesmith.json` of the finished model holds; empty if it is not finished."""
        return _read_json(self.model / "tunesmith.json")

    def plan_facts(self) -> dict[str, Any]:
        """What `plan.json` holds; empty if it is not there."""
        return _read_json(self.plan)

    def events(self) -> list[dict[str, Any]]:
        """The events, each step once: where a step was made again, the later line counts.

        A torn last line, as a kill leaves it, is left out.
        """
        kept: dict[tuple[object, ...], dict[str, Any]] = {}
        number = 0
        if self.log.is_file():
            for line in self.log.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                number += 1
                kind = event.get("event")
                warning = number if kind == "warned" else None
                key = (kind, event.get("step"), event.get("split"), warning)
                kept.pop(key, None)
                kept[key] = event
        return sorted(kept.values(), key=lambda event: event.get("step", 0))

    def warnings(self) -> list[str]:
        """What was warned of: code and message of each, once, in the order it was told."""
        warned = (event for event in self.events() if event["event"] == "warned")
        return list(dict.fromkeys(f"{event['code']} {event['message']}" for event in warned))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def run_name(where: str) -> str:
    """The name of a run from what it was started with: the stem of a file, or a data set's name."""
    name = where.removeprefix("embedded:").rstrip("/")
    if looks_like_a_file(name) or Path(name).exists():
        name = Path(Path(name).name.removesuffix(".gz")).stem
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def runs_under(root: Path) -> Iterator[RunFolder]:
    """The runs in a folder, the newest first."""
    if not root.is_dir():
        return
    found = [RunFolder(path) for path in root.iterdir() if RunFolder(path).exists]
    yield from sorted(found, key=lambda run: run.recipe.stat().st_mtime, reverse=True)


class EventLog:
    """Writes events.jsonl, every `log_every` steps one line for a step, each other event at once.

    A full disk never stops training: the first failure is returned as a problem, the rest is
    silence.
    """

    def __init__(self, path: Path, log_every: int, facts: Mapping[str, float]) -> None:
        """Open for appending.

        Args:
            path: of the file.
            log_every: steps between two lines.
            facts: the window so far, as `window` of the checkpoint resumed from gave it.
        """
        self._every = log_every
        self._loss = float(facts.get("loss", 0.0))
        self._steps = int(facts.get("steps", 0))
        self._norm = float(facts.get("grad_norm", 0.0))
        self._file: IO[str] | None = None
        self.problem: Problem | None = None
        try:
            _mend_last_line(path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            self._failed(path, error)

    @property
    def window(self) -> dict[str, float]:
        """The steps since the last line, for a checkpoint: a resumed run writes the same lines."""
        return {"loss": self._loss, "steps": self._steps, "grad_norm": self._norm}

    def take(self, event: Event, *, epoch: float, is_last: bool) -> dict[str, object] | None:
        """Write an event if it is due; returns the line as it was written."""
        if isinstance(event, StepDone):
            self._loss += event.loss
            self._norm = max(self._norm, event.grad_norm)
            self._steps += 1
            if event.step % self._every and not is_last:
                return None
            line = as_line(event) | {
                "loss": _number(self._loss / self._steps),
                "grad_norm": _number(self._norm),
                "epoch": round(epoch, 4),
            }
            self._loss, self._steps, self._norm = 0.0, 0, 0.0
        else:
            line = as_line(event)
        line["time"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._write(line)
        return line

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            return
        try:
            text = json.dumps(line, ensure_ascii=False, allow_nan=False)
            self._file.write(inert(text) + "\n")
            self._file.flush()
        except OSError as error:
            self._failed(Path(self._file.name), error)
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _failed(self, path: Path, error: OSError) -> None:
        self.problem = Problem(
            "C110",
            _("events are not written any more: {reason}").format(reason=error.strerror),
            Place(str(path)),
        )


def _mend_last_line(path: Path) -> None:
    """End a line that a kill tore, so that the next one starts on its own."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")


def as_line(event: Event) -> dict[str, object]:
    """An event as one JSON object. A number that is not finite becomes null."""
    if isinstance(event, StepDone):
        return {
            "event": "step",
            "step": event.step,
            "loss": _number(event.loss),
            "learning_rate": event.learning_rate,
            "grad_norm": _number(event.grad_norm),
        }
    if isinstance(event, Evaluated):
        return {
            "event": "evaluated",
            "step": event.step,
            "split": event.split,
            "scores": dict(event.scores.values),
            "is_best": event.is_best,
        }
    if isinstance(event, Saved):
        return {
            "event": "saved",
            "step": event.step,
            "checkpoint": event.folder,
            "seconds": round(event.seconds, 3),
        }
    if isinstance(event, Warned):
        return {
            "event": "warned",
            "step": event.step,
            **event.problem.as_json(),
            "rows": list(event.rows),
        }
    return {
        "event": "finished",
        "step": event.step,
        "reason": event.reason,
        "best_step": event.best_step,
        "scores": _values(event.scores),
        "test_scores": _values(event.test_scores),
        "train_seconds": round(event.train_seconds, 3),
        "samples_per_second": round(event.samples_per_second, 3),
    }


def _values(scores: Scores | None) -> dict[str, float | None] | None:
    return None if scores is None else dict(scores.values)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def refuse_unfinished(run: RunFolder) -> None:
    """Refuse a run without a whole model.

    Raises:
        RecipeError: it is not finished (C114).
    """
    if not run.is_finished:
        raise RecipeError(
            Problem(
                "C114",
                _("the run is not finished"),
                Place(str(run.path)),
                fix=_("Run the same train command again to finish it."),
            )
        )


def refuse_other(run: RunFolder) -> None:
    """Refuse a folder that holds something else than a run.

    Raises:
        ResourceError: there is something and it is not a run (C111).
    """
    try:
        is_other = (
            any(not _LEFT_BEHIND.fullmatch(path.name) for path in run.path.iterdir())
            if run.path.is_dir() and not run.exists
            else run.path.exists() and not run.path.is_dir()
        )
    except OSError as error:
        raise ResourceError(
            Problem(
                "C107",
                _("the folder cannot be read: {reason}").format(reason=error.strerror),
                Place(str(run.path)),
                fix=_("Choose another one with --out; nothing was changed."),
            )
        ) from error
    if is_other:
        raise ResourceError(
            Problem(
                "C111",
                _("the folder exists and is not a run"),
                Place(str(run.path)),
                fix=_("Choose another one with --out; nothing was changed."),
            )
        )
