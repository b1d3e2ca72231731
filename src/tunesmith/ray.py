"""Training as a function of Ray Train.

Ray starts the processes, makes their process group, and starts them again with as many as there is
room for. The run stays what it is elsewhere: a folder that the same call continues.

    TorchTrainer(
        train_loop,
        train_loop_config={"what": "/shared/recipe.yaml", "out": "/shared/runs/tickets"},
        scaling_config=ScalingConfig(num_workers=(2, 8)),
        run_config=RunConfig(callbacks=[EndOnErrors()], failure_config=FailureConfig(...)),
    ).fit()
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

try:
    from ray import train as ray_train
    from ray.train import Checkpoint, UserCallback
except ImportError as error:
    raise ImportError('tunesmith.ray needs Ray Train: pip install "tunesmith[ray]"') from error

from tunesmith.api.runs import Run
from tunesmith.api.train import KEYWORDS, events_of, recipe_keys, unknown_keyword
from tunesmith.errors import PeerError, Place, Problem, RecipeError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.runs.signals import StopRequest
from tunesmith.training.device import is_main_process
from tunesmith.training.events import Evaluated

__all__ = ["EndOnErrors", "train_loop"]

_ASK_EVERY_SECONDS = 1.0
"""To ask Ray costs a message to another process and back."""
_LOCKED_SECONDS = 150.0
"""How long the folder may be held by a process of a machine that Ray has given up."""
_POINTER = "run.json"


def train_loop(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train one run as `tunesmith.train` does; for `TorchTrainer(train_loop, …)`.

    A run that Ray starts again continues from its last checkpoint, with any number of workers. When
    a machine is about to be taken away, it is saved and goes on.

    Args:
        config: the arguments of `tunesmith.train` by name, with `what` and `out`; all workers have
            to reach these paths, so `out` is absolute. Without `out` it is the folder `run` where
            Ray keeps the results.

    Returns:
        the folder of the run, its scores and test scores; in `return_value` of Ray's result.

    Raises:
        TunesmithError: anything that is wrong; in `worker_failures` of Ray's error.
    """
    try:
        return _trained(dict(config))
    except TunesmithError as error:
        raise error.with_traceback(None) from None


def _trained(config: dict[str, Any]) -> dict[str, Any]:
    what, out = config.pop("what", None), _folder(config)
    if refused := list(_refused(what, config)):
        raise RecipeError(refused)
    events = events_of(
        what,
        out,
        recipe_keys(config),
        compute_metrics=config.get("compute_metrics"),
        restart=False,
        remote=config.get("remote"),
        verbose=bool(config.get("verbose", True)),
        stop=_Preemption(),
        wait_seconds=_LOCKED_SECONDS,
    )
    for event in events:
        if isinstance(event, Evaluated):
            scores = _named(event.split, event.scores.values)
            _report(out, {"step": event.step, **scores})
    if not is_main_process():
        _report(out, {})
        return {}
    run = Run(out)
    scores = {**_named("validation", run.scores), **_named("test", run.test_scores)}
    _report(out, {"step": run.facts["best_step"], **scores})
    return {"out": str(out), "scores": run.scores, "test_scores": run.test_scores}


def _folder(config: Mapping[str, Any]) -> Path:
    """The run folder.

    Raises:
        RecipeError: the working folder of a worker would decide where it is (C175).
    """
    if config.get("out") is not None:
        folder = Path(config["out"])
    else:
        folder = Path(ray_train.get_context().get_storage().experiment_fs_path) / "run"
    if not folder.is_absolute():
        raise RecipeError.of(
            "C175",
            _("the run folder is not an absolute path"),
            Place(str(folder)),
            fix=_("Name a folder that all workers reach: {example}").format(
                example='train_loop_config={"out": "/shared/runs/NAME", …}'
            ),
        )
    return folder


def _refused(what: object, config: Mapping[str, Any]) -> list[Problem]:
    if what is None:
        example = 'train_loop_config={"what": "/shared/recipe.yaml", …}'
        fix = _("Name a recipe or data: {example}").format(example=example)
        return [Problem("C176", _("train_loop_config does not say what to train"), fix=fix)]
    problems = [unknown_keyword(name, config[name]) for name in config if name not in KEYWORDS]
    for name in ("seeds", "restart"):
        if config.get(name):
            text = _("train_loop_config has {name}, which means nothing to one run that continues")
            fix = _("Call fit() once for each run, with an `out` of its own.")
            problems.append(Problem("C176", text.format(name=name), Place(name), fix=fix))
    return problems


def _named(split: str, scores: Mapping[str, float | None]) -> dict[str, float]:
    """Scores as Ray shows them, in one table; without those that are not numbers."""
    return {
        f"{split}_{name}": value
        for name, value in scores.items()
        if value is not None and math.isfinite(value)
    }


def _report(out: Path, metrics: Mapping[str, float]) -> None:
    """Show Ray scores; every worker calls this.

    Ray keeps scores with a checkpoint only: it gets a file that says where the run is.
    """
    is_main = is_main_process()
    with tempfile.TemporaryDirectory() if is_main else nullcontext("") as folder:
        if is_main:
            facts = {"run": str(out), "step": metrics.get("step")}
            (Path(folder) / _POINTER).write_text(json.dumps(facts), encoding="utf-8", newline="\n")
        checkpoint = Checkpoint.from_directory(folder) if is_main else None
        ray_train.report(dict(metrics), checkpoint=checkpoint)


class _Preemption(StopRequest):
    """Saves when Ray is about to lose a machine; never stops, as Ray ends its workers itself."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = time.monotonic()
        self._known: list[str] = []

    @property
    def asks(self) -> bool:
        return time.monotonic() - self._asked >= _ASK_EVERY_SECONDS

    def save_is_requested(self) -> bool:
        info = ray_train.get_preemption_info()  # waits for all workers
        self._asked = time.monotonic()
        leaving = info.preempted_node_ids if info is not None else []
        is_news = leaving != self._known
        self._known = leaving
        return is_news and bool(leaving)


class EndOnErrors(UserCallback):  # type: ignore[misc] # ray has types that take minutes
    """A callback of Ray Train: errors that would only come again end the job at once.

    Without it Ray starts the workers again after any error, as often as `max_failures` says.
    """

    def after_exception(self, run_context: object, worker_exceptions: Mapping[int, Any]) -> None:
        """Raise the error of a worker unless it may be gone next time."""
        for error in worker_exceptions.values():
            if _is_lasting(error):
                raise error


def _is_lasting(error: object) -> bool:
    """Whether an error stays until someone does something; of a lost process it may not."""
    return isinstance(error, TunesmithError) and error.exit_code != PeerError.exit_code
