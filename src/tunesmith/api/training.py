"""Training, to the end or as a stream of events."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from tunesmith.api.data import load_data
from tunesmith.api.finished import Run, Runs
from tunesmith.data.rows import Splits
from tunesmith.data.sources import from_python, open_splits, refuse_header
from tunesmith.device import is_main_process, num_processes
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.events import Event, Warned
from tunesmith.inputs import reading_options
from tunesmith.language import gettext as _
from tunesmith.recipe import KeyPath, Layers, Recipe, gather
from tunesmith.run.seeds import folders_of_seeds
from tunesmith.run.signals import StopRequest
from tunesmith.run.start import start as start_run

if TYPE_CHECKING:
    from tunesmith.run.own_scores import ComputeMetrics

__all__ = ["start", "train"]


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
        for note in started.notes:
            yield Warned(0, note)
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
