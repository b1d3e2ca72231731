"""Train to the end, or as a stream of events."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from tunesmith.api.request import flags_of, is_held, named_data, understand
from tunesmith.api.runs import Run, Runs
from tunesmith.data.open import from_python
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.recipe import key_close_to, key_named
from tunesmith.remote.location import Location
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.seeds import folders_of_seeds
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import OpenRun
from tunesmith.runs.start import start as start_run
from tunesmith.training.device import is_main_process, num_processes
from tunesmith.training.events import Event, Warned
from tunesmith.training.peers import joined

if TYPE_CHECKING:
    from tunesmith.api.display.notebook import PythonDisplay
    from tunesmith.runs.custom_metrics import ComputeMetrics

__all__ = ["KEYWORDS", "events_of", "recipe_keys", "start", "train", "unknown_keyword"]

_KEYS = {
    "task": "task",
    "model": "model",
    "preset": "preset",
    "text": "data.text",
    "text_pair": "data.text_pair",
    "label": "data.label",
    "validation": "data.validation",
    "test": "data.test",
    "epochs": "train.epochs",
    "max_steps": "train.max_steps",
    "batch_size": "train.batch_size",
    "learning_rate": "train.learning_rate",
    "max_length": "train.max_length",
    "seed": "train.seed",
    "device": "train.device",
}
"""Keywords of `train` that are recipe keys."""
KEYWORDS = frozenset(
    {*_KEYS, "out", "settings", "compute_metrics", "verbose", "restart", "remote", "seeds"}
)
"""All keywords of `train`."""


class _Keywords(TypedDict, total=False):
    """The keywords of `train` except `seeds`."""

    out: str | Path | None
    task: str | None
    model: str | None
    preset: str | None
    text: str | None
    text_pair: str | None
    label: str | Sequence[str] | None
    validation: object
    test: str | None
    epochs: float | None
    max_steps: int | None
    batch_size: int | None
    learning_rate: float | None
    max_length: int | None
    seed: int | None
    device: str | None
    settings: Mapping[str, object] | None
    compute_metrics: ComputeMetrics | None
    restart: bool
    remote: str | None
    verbose: bool


@overload
def train(what: object, *, seeds: None = None, **keywords: Unpack[_Keywords]) -> Run: ...


@overload
def train(what: object, *, seeds: int, **keywords: Unpack[_Keywords]) -> Runs: ...


def train(
    what: object,
    *,
    seeds: int | None = None,
    out: str | Path | None = None,
    task: str | None = None,
    model: str | None = None,
    preset: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    validation: object = None,
    test: str | None = None,
    epochs: float | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
    remote: str | None = None,
    verbose: bool = True,
    **unknown: object,
) -> Run | Runs:
    """Fine-tune a model and return the finished run; the same call again resumes or returns it.

    Prints what the command line prints: automatic choices, progress, warnings, scores.

    Args:
        what: a recipe (object or file), the name of data, data from `load_data`, or Python objects.
        seeds: number of seeds to train with, from `seed` on, in the folders NAME-seed-…; None for
            one run.
        out: the run folder; None for `runs/NAME`.
        task: such as "text-classification"; None to infer it from the label column.
        model: a run, a local folder, "embedded:mini" or a Hub name; None to choose it by texts and
            device.
        preset: a named set of values.
        text: the text column.
        text_pair: the column of the second text of a pair.
        label: the label column, or several 0/1 columns.
        validation: a fraction ("10%"), a file, a split name, or Python objects.
        test: a fraction, a file or a split name, scored once at the end.
        epochs: passes over the training rows.
        max_steps: optimizer steps; overrides `epochs`.
        batch_size: rows per optimizer step.
        learning_rate: the peak of the schedule.
        max_length: tokens per row; longer texts are truncated.
        seed: of the new head, the row order and the dropout.
        device: "auto", "cpu", "cuda" or "mps".
        settings: any other recipe keys, such as {"train.weight_decay": 0.01}.
        compute_metrics: custom scores, called with (logits, labels).
        restart: rename the existing folder and train again.
        remote: copy of the run folder in a store, such as "s3://BUCKET/PATH": fetched first, then
            kept up to date, so that any machine continues.
        verbose: False to print nothing.
        **unknown: an error that suggests a recipe key.

    Raises:
        TunesmithError: anything that is wrong, with code, place and fix.
    """
    keywords = locals()
    if unknown:
        raise RecipeError([unknown_keyword(*one) for one in unknown.items()])
    values = recipe_keys(keywords)

    location = None if remote is None else Location.read(remote)

    def finished(
        folder: str | Path | None, settings: Mapping[str, object], copy: Location | None
    ) -> Run:
        return _finished(
            events_of(
                what,
                folder,
                settings,
                compute_metrics=compute_metrics,
                restart=restart,
                remote=copy,
                verbose=verbose,
            )
        )

    if seeds is None:
        return finished(out, values, location)
    folders = _folders(what, values, out, seeds)
    runs = [
        finished(
            folder,
            {**values, "train.seed": seed},
            None if location is None else location.below(f"seed-{seed}"),
        )
        for seed, folder in folders.items()
    ]
    return Runs(tuple(runs))


def recipe_keys(keywords: Mapping[str, Any]) -> dict[str, object]:
    """Return what keywords of `train` set in the recipe."""
    named = {key: keywords[name] for name, key in _KEYS.items() if keywords.get(name) is not None}
    return {**named, **(keywords.get("settings") or {})}


def unknown_keyword(name: str, value: object) -> Problem:
    """Say that `train` has no such keyword, and what may have been meant."""
    key = key_named(name) or key_close_to(name)
    keywords = {recipe_key: keyword for keyword, recipe_key in _KEYS.items()}
    fix = None
    if key in keywords:
        fix = _('did you mean "{name}"?').format(name=f"{keywords[key]}={value!r}")
    elif key is not None:
        fix = _('did you mean "{name}"?').format(name=f"settings={{{key!r}: {value!r}}}")
    return Problem(
        "R151", _('train() has no keyword "{name}"').format(name=name), Place(name), fix=fix
    )


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
    """Return a folder for each seed.

    Raises:
        RecipeError: there are fewer than two (R192).
    """
    if seeds < 2:
        raise RecipeError.of(
            "R192",
            _("{count} seeds have no spread").format(count=seeds),
            Place("seeds"),
            fix=_("Name two or more, or none."),
        )
    named = dict(settings)
    if is_held(named.get("data.validation")):
        del named["data.validation"]
    layers, _data, named_after = understand(what, flags_of(named))
    first = layers.recipe().train.seed
    return folders_of_seeds(out, named_after=named_after, first=first, count=seeds)


def start(
    what: object,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    compute_metrics: ComputeMetrics | None = None,
    restart: bool = False,
    remote: str | None = None,
) -> Generator[Event, None, Run]:
    """Train as `train` does, as a stream of events that returns the run; nothing is printed.

    Args:
        what: as in `train`.
        out: the run folder; None for `runs/NAME`.
        settings: recipe keys, such as {"model": "embedded:mini", "train.epochs": 1}.
        compute_metrics: custom scores, called with (logits, labels).
        restart: rename the existing folder and train again.
        remote: copy of the run folder in a store, as in `train`.

    Raises:
        TunesmithError: anything that is wrong, with code, place and fix.
    """
    return events_of(
        what,
        out,
        settings or {},
        compute_metrics=compute_metrics,
        restart=restart,
        remote=remote,
    )


def events_of(
    what: object,
    out: str | Path | None,
    settings: Mapping[str, object],
    *,
    compute_metrics: ComputeMetrics | None,
    restart: bool,
    remote: str | Location | None = None,
    verbose: bool = False,
    stop: StopRequest | None = None,
    wait_seconds: float = 0.0,
) -> Generator[Event, None, Run]:
    """Train one run, from the data to the report.

    Args:
        what: as in `train`.
        out: the run folder; None for `runs/NAME`.
        settings: recipe keys.
        compute_metrics: custom scores.
        restart: rename the existing folder and train again.
        remote: where a copy of the run folder is.
        verbose: whether to print.
        stop: what else than a signal asks to save or to stop.
        wait_seconds: how long another process in the folder may take to end.
    """
    with joined():  # before files that may be missing here alone
        return (
            yield from _run_of(
                what, out, settings,
                compute_metrics=compute_metrics, restart=restart, remote=remote, verbose=verbose,
                stop=stop or StopRequest(), wait_seconds=wait_seconds,
            )
        )  # fmt: skip


def _run_of(
    what: object,
    out: str | Path | None,
    settings: Mapping[str, object],
    *,
    compute_metrics: ComputeMetrics | None,
    restart: bool,
    remote: str | Location | None,
    verbose: bool,
    stop: StopRequest,
    wait_seconds: float,
) -> Generator[Event, None, Run]:
    settings = dict(settings)
    validation = settings.get("data.validation")
    if held_in_python := is_held(validation):
        del settings["data.validation"]
    layers, data, named_after = understand(what, flags_of(settings))
    if held_in_python:
        validation = next(iter(from_python(validation, "validation").values()))
        data = {**(data or named_data(layers)), "validation": validation}
    with (
        stop,
        start_run(
            layers, out=out, data=data, named_after=named_after, restart=restart, remote=remote,
            wait_seconds=wait_seconds,
        ) as started,
    ):  # fmt: skip
        display = _display(started.run) if verbose else None
        if display:
            _begin(display, started)
        for note in (*layers.notices, *started.notes):
            warned = Warned(0, note)
            if display:
                display.take(warned)
            yield warned
        if not started.is_finished:
            if display:
                display.say(_("loading torch and the model …"))
            from tunesmith.runs.prepare import prepare_run
            from tunesmith.runs.train import train_run

            job = prepare_run(
                started.checked,
                num_processes=num_processes(),
                custom_metrics=compute_metrics is not None,
                revision=started.revision,
            )
            with ExitStack() as drawing:
                if display:
                    drawing.enter_context(display.progress(job.plan, job.notes))
                for event in train_run(
                    job,
                    started.run,
                    stop=stop,
                    compute_metrics=compute_metrics,
                    remote=started.remote,
                ):
                    if display:
                        display.take(event)
                    yield event
        if is_main_process() and not started.run.report.is_file():
            from tunesmith.analysis.report import write_report

            write_report(started.run)
        if display:
            display.end(was_finished=started.is_finished)
    return Run(started.run.path)


def _begin(display: PythonDisplay, started: OpenRun) -> None:
    display.begin(started.checked)
    if started.remote is not None and (text := started.remote.describe()):
        display.say(text)


def _display(run: RunFolder) -> PythonDisplay:
    from tunesmith.api.display.notebook import PythonDisplay, terminal_here

    return PythonDisplay(terminal_here(), run)
