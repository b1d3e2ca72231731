"""Tunesmith from Python: the same words as the command line.

import tunesmith as ts

run = ts.train("tickets.csv", model="bert-base-chinese")
print(run.scores["f1"])
print(ts.load(run.model).predict("打印机又坏了")[0])
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from tunesmith.curves import Reading
from tunesmith.data.rows import Splits
from tunesmith.data.sources import Options, from_python, open_splits, refuse_header
from tunesmith.device import is_main_process, num_processes
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.events import Event
from tunesmith.inputs import reading_options
from tunesmith.language import gettext as _
from tunesmith.recipe import KeyPath, Layers, Recipe, gather
from tunesmith.run.explain import explain
from tunesmith.run.folder import RunFolder
from tunesmith.run.seeds import folders_of_seeds, spread_over
from tunesmith.run.signals import StopRequest
from tunesmith.run.start import start as start_run

if TYPE_CHECKING:
    from tunesmith.calibration import Fit
    from tunesmith.mistakes import Judged
    from tunesmith.run.own_scores import ComputeMetrics
    from tunesmith.statistics import Spread

__all__ = ["Run", "Runs", "load_data", "start", "train"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where all of it lies.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """The model folder, for `ts.load`, `AutoModel…from_pretrained` or `pipeline`."""
        return RunFolder(self.folder).model

    @property
    def facts(self) -> dict[str, Any]:
        """What `tunesmith.json` holds: steps, best step, times, scores by split."""
        return RunFolder(self.folder).facts()

    @property
    def scores(self) -> dict[str, float | None]:
        """The scores of the finished model on validation; empty without validation rows."""
        return dict(self.facts.get("scores", {}).get("validation", {}))

    @property
    def test_scores(self) -> dict[str, float | None]:
        """The same on the labelled test rows."""
        return dict(self.facts.get("scores", {}).get("test", {}))

    @property
    def report(self) -> Path:
        """The page that tells of it, to be opened in a browser."""
        return RunFolder(self.folder).report

    def calibrate(self, goal: str | None = None) -> Fit:
        """Fit probabilities to the validation rows, and thresholds to a goal; kept with the model.

        `ts.load(run.model).predict(texts, calibrated=True)` follows it.

        Args:
            goal: "f1", "precision=0.9" or "accuracy=0.95"; None for a temperature alone.

        Raises:
            PlainError: the run cannot be calibrated, or not to this goal.
        """
        from tunesmith.calibration import Goal
        from tunesmith.run.calibrate import calibrate_run

        return calibrate_run(RunFolder(self.folder), goal=Goal.read(goal) if goal else None)

    def events(self) -> list[dict[str, Any]]:
        """What happened, as `events.jsonl` has it."""
        return RunFolder(self.folder).events()

    def explain(self) -> tuple[Reading, ...]:
        """What the curves say, the weightiest first: verdict, sureness, evidence, change to try."""
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
            strict: refuse a run of which something has no plain equal.
            force: replace files that are there.

        Raises:
            PlainError: whatever stands in the way, with code, place and fix.
        """
        from tunesmith.eject.write import eject

        return eject(
            RunFolder(self.folder), Path(path), style=style, strict=strict, force=force
        ).path

    def errors(
        self,
        top: int | None = 10,
        *,
        kind: Literal["worst", "suspect"] = "worst",
        split: str | None = None,
    ) -> list[Judged]:
        """The rows that go wrong, as `tunesmith errors` shows them.

        Args:
            top: how many; None for all.
            kind: "worst" for the held-out rows with the highest loss, "suspect" for the rows of
                all splits that are probably mislabelled.
            split: only the rows of "validation", "test" or "train".

        Raises:
            PlainError: the run is not finished, or has no labelled rows there.
        """
        from tunesmith.mistakes import examine

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
        """By split and score: mean, deviation, lowest and highest over the seeds."""
        return spread_over([RunFolder(run.folder) for run in self.runs])

    @property
    def scores(self) -> dict[str, float]:
        """The mean of each score on validation; empty without validation rows."""
        return {name: told.mean for name, told in self.spread.get("validation", {}).items()}


def load_data(
    where: object,
    *,
    config: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
) -> Splits:
    """Open data: a file, a list of files, a folder, a Hub data set, or an object held in Python.

    Args:
        where: a path or name, or a list of dicts, a pandas frame, a `datasets.Dataset` or
            `DatasetDict`, or a dict from split names to these.
        config: configuration of a Hub data set.
        revision: branch, tag or commit of a Hub data set.
        encoding: of text files; None for UTF-8 or what a byte-order mark says.
        delimiter: between fields of text tables.
        header: names of the columns of CSV and TSV files whose first line is a row.

    Returns:
        The splits by name; a single table is the split "train".

    Raises:
        DataError: it does not exist or cannot be read, or `header` does not fit it (D114).
        ResourceError: the Hub is out of reach.
    """
    names = None if header is None else tuple(header)
    options = Options(encoding, delimiter, config, revision, names)
    if isinstance(where, str | Path):
        return open_splits(str(where), options)
    if isinstance(where, list | tuple) and where and isinstance(where[0], str | Path):
        return open_splits([str(part) for part in where], options)
    refuse_header(_("the given rows"), options)
    return from_python(where)


@overload
def train(
    what: object,
    *,
    seeds: None = None,
    out: str | Path | None = None,
    model: str | None = None,
    preset: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    validation: object = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
) -> Run: ...


@overload
def train(
    what: object,
    *,
    seeds: int,
    out: str | Path | None = None,
    model: str | None = None,
    preset: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    validation: object = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
) -> Runs: ...


def train(
    what: object,
    *,
    seeds: int | None = None,
    out: str | Path | None = None,
    model: str | None = None,
    preset: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    validation: object = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
) -> Run | Runs:
    """Fine-tune a model and return the finished run; the same call again continues or returns it.

    Args:
        what: a recipe (object or file), the name of data, or data from `load_data` or of Python.
        seeds: train with so many seeds, from `train.seed` on, in the folders NAME-seed-…; None for
            one run.
        out: the run folder; None for `runs/NAME`.
        model: a Hub name, a local folder or "embedded:mini".
        preset: a named set of values.
        text: the column of the text.
        text_pair: the column of the second text of a pair.
        label: the column of the label, or several 0/1 columns.
        validation: a share ("10%"), a file, a split name, or data held in Python.
        settings: any other recipe keys, such as {"train.epochs": 1}.
        compute_metrics: scores of your own, called with (logits, labels).
        restart: keep what is in the folder under another name and begin anew.

    Raises:
        PlainError: whatever is wrong, with code, place and fix.
    """
    words = {
        "model": model,
        "preset": preset,
        "data.text": text,
        "data.text_pair": text_pair,
        "data.label": label,
        "data.validation": validation,
    }
    given = {key: value for key, value in words.items() if value is not None}
    asked = {**given, **(settings or {})}

    def finished(folder: str | Path | None, settings: Mapping[str, object]) -> Run:
        return _finished(
            start(
                what,
                out=folder,
                settings=settings,
                compute_metrics=compute_metrics,
                restart=restart,
            )
        )

    if seeds is None:
        return finished(out, asked)
    folders = _folders(what, asked, out, seeds)
    runs = [finished(folder, {**asked, "train.seed": seed}) for seed, folder in folders.items()]
    return Runs(tuple(runs))


def _finished(events: Generator[Event, None, Run]) -> Run:
    while True:
        try:
            next(events)
        except StopIteration as end:
            run: Run = end.value
            return run


def _folders(
    what: object, settings: Mapping[str, object], out: str | Path | None, seeds: int
) -> dict[int, Path]:
    """A folder for each seed.

    Raises:
        RecipeError: there are fewer than two (R192).
    """
    if seeds < 2:
        raise RecipeError(
            Problem(
                "R192",
                _("{count} seeds have no spread").format(count=seeds),
                Place("seeds"),
                fix=_("Name two or more, or none."),
            )
        )
    named = dict(settings)
    if _is_held(named.get("data.validation")):
        del named["data.validation"]
    layers, _data, asked_by = _understand(what, _flags(named))
    first = layers.recipe().train.seed
    return folders_of_seeds(out, asked_by=asked_by, first=first, count=seeds)


def _flags(settings: Mapping[str, object]) -> dict[KeyPath, tuple[str, object]]:
    return {tuple(key.split(".")): (key, value) for key, value in settings.items()}


def start(
    what: object,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
) -> Generator[Event, None, Run]:
    """The same run as `train`, as a stream of events: iterate it to train; its value is the run.

    Args:
        what: as in `train`.
        out: the run folder; None for `runs/NAME`.
        settings: recipe keys, such as {"model": "embedded:mini", "train.epochs": 1}.
        compute_metrics: scores of your own, called with (logits, labels).
        restart: keep what is in the folder under another name and begin anew.

    Raises:
        PlainError: whatever is wrong, with code, place and fix.
    """
    settings = dict(settings or {})
    validation = settings.get("data.validation")
    if held_in_python := _is_held(validation):
        del settings["data.validation"]
    layers, data, asked_by = _understand(what, _flags(settings))
    if held_in_python:
        validation = next(iter(from_python(validation, "validation").values()))
        data = {**(data or _named_data(layers)), "validation": validation}
    from tunesmith.report import write_report
    from tunesmith.run.conduct import conduct
    from tunesmith.run.job import make_job

    with (
        StopRequest() as stop,
        start_run(layers, out=out, data=data, asked_by=asked_by, restart=restart) as started,
    ):
        if not started.is_finished:
            job = make_job(
                started.checked,
                num_processes=num_processes(),
                own_scores=compute_metrics is not None,
            )
            yield from conduct(job, started.run, stop=stop, compute_metrics=compute_metrics)
        if is_main_process() and not started.run.report.is_file():
            write_report(started.run)
    return Run(started.run.path)


def _named_data(layers: Layers) -> Splits:
    """The data that a recipe names, read as it says."""
    settings = layers.recipe().data
    where = settings.train if isinstance(settings.train, str) else list(settings.train)
    return open_splits(where, reading_options(settings))


def _is_held(validation: object) -> bool:
    """Whether validation rows are an object of Python, not a share, a name or a list of files."""
    if isinstance(validation, list | tuple):
        return not all(isinstance(part, str) for part in validation)
    return validation is not None and not isinstance(validation, str)


def _understand(
    what: object, flags: dict[KeyPath, tuple[str, object]]
) -> tuple[Layers, Splits | None, str]:
    """The layers, the data if it came as an object, and a name for the run."""
    if isinstance(what, Recipe):
        train_files = what.data.train
        name = train_files if isinstance(train_files, str) else train_files[0]
        return gather(recipe=what, flags=flags), None, name
    if isinstance(what, str | Path):
        name = str(what)
        if name.endswith((".yaml", ".yml")):
            return gather(file=Path(name), flags=flags), None, name
        flags = {("data", "train"): ("data", name), **flags}
        return gather(flags=flags), None, name
    layers = gather(flags={("data", "train"): ("data", "python"), **flags})
    refuse_header("data.header", reading_options(layers.recipe().data))
    return layers, load_data(what), "python"
