"""A run folder and its copy in a store: which one is further, and what is sent when.

Only the first process of a job talks to the store. It holds the run folder already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tunesmith.errors import (
    IntegrityError,
    Place,
    Problem,
    RecipeError,
    ResourceError,
    Severity,
)
from tunesmith.i18n import gettext as _
from tunesmith.jobs.orphans import grace_seconds, is_launched
from tunesmith.remote.fetch import fetch_newest, snapshots
from tunesmith.remote.lease import Lease
from tunesmith.remote.location import Location
from tunesmith.remote.mirror import Mirror
from tunesmith.remote.open_store import open_store
from tunesmith.remote.probe import bytes_per_second, refuse_without_conditions
from tunesmith.remote.snapshot import Snapshot
from tunesmith.remote.store import Store
from tunesmith.remote.upload import LocalFile, State, Uploader
from tunesmith.runs.event_history import last_step
from tunesmith.runs.fingerprint import differences
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import has_begun, read_plan
from tunesmith.storage import atomic, notices
from tunesmith.storage.manifest import recorded_hashes

__all__ = ["RemoteFolder", "fetch_run", "mirrored", "peek", "refuse_restart", "upload_speed"]

_PARTS = ("recipe", "data", "tokenizer", "model")
_STOP_SECONDS = 100.0
"""How long the last state is sent after a stop where no launcher says how much time there is."""


class RemoteFolder:
    """The copy of a run folder while the run goes.

    Attributes:
        mirror: sends states.
    """

    def __init__(self, run: RunFolder, store: Store, mirror: Mirror, fence: int) -> None:
        self._run, self._store, self.mirror, self._fence = run, store, mirror, fence

    def send_what_is_newer(self, known: Snapshot | None) -> None:
        """Have the newest checkpoint sent if the store does not have it."""
        if not self._run.is_finished and has_begun(self._run):
            step = _whole_step(self._run)
            if step > (known.step if known else 0):
                self.send_checkpoint(step, keep=2)

    def send_checkpoint(self, step: int, *, keep: int) -> None:
        """Have the state as of a checkpoint that was just saved sent, while training goes on.

        Raises:
            FolderInUseError: another process took the remote folder over (C164).
        """
        with suppress(OSError, ValueError):  # deleted or damaged: the next one will do
            self.mirror.take(_state_at(self._run, step, keep))

    def slow_upload(self, size: int) -> Problem | None:
        """Return a warning if the store takes too long for the time that a stopped run has."""
        seconds = size / bytes_per_second(self._store, self._fence)
        if seconds <= _grace() / 2:
            return None
        message = _(
            "sending a checkpoint of {size:.1f} GB will take {seconds:.0f} s; a stopped run has "
            "{grace:.0f} s"
        )
        return Problem(
            "C167",
            message.format(size=size / 1e9, seconds=seconds, grace=_grace()),
            Place(str(self._store.location)),
            fix=_(
                "Give more time (tunesmith launch --shutdown-timeout SECONDS, and the scheduler's "
                "own), or another machine will continue from an older checkpoint."
            ),
            severity=Severity.WARNING,
        )


def _grace() -> float:
    return grace_seconds() if is_launched() else _STOP_SECONDS


@contextmanager
def mirrored(run: RunFolder, location: Location | None) -> Iterator[RemoteFolder | None]:
    """Bring the run folder up to date, and keep its copy so until the end.

    Args:
        run: the folder, which this process holds.
        location: where the copy is; None for none.

    Raises:
        FolderInUseError: another process uses the copy (C164).
        ResourceError: the store cannot be used (C161, C162, C163), or the last state could not be
            stored (C166).
        IntegrityError: no state in the store is whole (C168), or it is one of another run (C169).
    """
    if location is None:
        yield None
        return
    store = open_store(location)
    refuse_without_conditions(store)
    lease = Lease(store)
    lease.take()
    try:
        known = _bring_up_to_date(run, store)
        uploader = Uploader(store, lease, run=known.run if known else None)
        mirror = Mirror(store, lease, uploader.send)
        folder = RemoteFolder(run, store, mirror, lease.fence)
        try:
            folder.send_what_is_newer(known)
            yield folder
        except BaseException:
            if (problem := mirror.finish(_grace() * 0.75)) is not None:
                notices.show_now(replace(problem, severity=Severity.WARNING))
            raise
        if run.is_finished:
            state = _finished_state(run)
            if known is None or not _is_same(known, state):
                mirror.take(state)
            else:
                with suppress(ResourceError):  # a kill may have left old objects
                    uploader.clean(state.keep)
        if (problem := mirror.finish(None)) is not None:
            raise ResourceError(problem)
    finally:
        lease.release()


def refuse_restart(location: Location) -> None:
    """Refuse to start from scratch where the store has a run, before the local one is moved.

    Raises:
        RecipeError: it has one (C169).
        ResourceError: the store cannot be used (C161, C162).
    """
    states, _warnings = snapshots(open_store(location))
    if states:
        raise RecipeError(_holds_a_run(location, states[0]))


def upload_speed(location: Location) -> float:
    """Try the store of a run to be, and return how many bytes per second it takes.

    Raises:
        ResourceError: the store cannot be used (C161, C162, C163).
    """
    store = open_store(location)
    refuse_without_conditions(store)
    return bytes_per_second(store, 0)


def fetch_run(location: Location, run: RunFolder) -> Snapshot:
    """Fetch a run into a folder of its own, without becoming its owner.

    Args:
        location: where it is.
        run: an empty folder, or one with the same run; the caller holds it.

    Raises:
        RecipeError: there is no run (C113).
        ResourceError: the store cannot be used (C161, C162).
        IntegrityError: the folder holds another run (C169), or no state is whole (C168).
    """
    snapshot = _bring_up_to_date(run, open_store(location))
    if snapshot is None:
        raise RecipeError(_no_run(location))
    return snapshot


@contextmanager
def peek(location: Location) -> Iterator[RunFolder]:
    """Yield a folder with all of a remote run but weights, which is deleted afterwards.

    Raises:
        RecipeError: there is no run (C113).
        ResourceError: the store cannot be used (C161, C162).
        IntegrityError: no state is whole (C168).
    """
    store = open_store(location)
    with TemporaryDirectory(prefix="tunesmith-") as folder:
        run = RunFolder(Path(folder) / (location.prefix.rpartition("/")[2] or "run"))
        snapshot, warnings = fetch_newest(store, run.path, _is_small)
        _report(warnings)
        if snapshot is None:
            raise RecipeError(_no_run(location))
        yield run


def _is_small(name: str) -> bool:
    return not name.startswith("checkpoints/") and not name.endswith(".safetensors")


def _no_run(location: Location) -> Problem:
    return Problem(
        "C113",
        _("there is no run"),
        Place(str(location)),
        fix=_("Use the address that `tunesmith train` had with --remote."),
    )


def _bring_up_to_date(run: RunFolder, store: Store) -> Snapshot | None:
    """Fetch what the store has more of; return the newest state there.

    Raises:
        IntegrityError: the store has another run (C169), or none that is whole (C168).
    """
    states, warnings = snapshots(store)
    if not states:
        return None
    newest = states[0]
    if has_begun(run):
        _refuse_another_run(run, store, newest)
        if not _is_behind(run, newest):
            _report(warnings)
            return newest
    fetched, warnings = fetch_newest(store, run.path)
    _report(warnings)
    return fetched


def _report(warnings: list[Problem]) -> None:
    for problem in warnings:
        notices.notify_once((problem.code, str(problem.place)), problem)


def _is_behind(run: RunFolder, newest: Snapshot) -> bool:
    """Whether the folder lacks something that the store has."""
    if run.is_finished:
        return False
    if newest.is_finished:
        return True
    here = _whole_step(run)
    if here != newest.step:
        return here < newest.step
    return not read_plan(run)[0] or last_step(run.log) < newest.step


def _whole_step(run: RunFolder) -> int:
    """The step of the newest checkpoint that is whole."""
    from tunesmith.training import checkpoint

    for step in reversed(checkpoint.saved_steps(run.checkpoints)):
        if atomic.damage(_checkpoint(run, step)) is None:
            return step
    return 0


def _checkpoint(run: RunFolder, step: int) -> Path:
    return run.checkpoints / f"step-{step:08d}"


def _refuse_another_run(run: RunFolder, store: Store, newest: Snapshot) -> None:
    plan = read_plan(run)[0]
    changed = differences(newest.fingerprint, plan["fingerprint"]) if plan else {}
    if changed:
        raise IntegrityError.of(
            "C169",
            _(
                "the remote folder holds another run than the local one: it differs in {parts}"
            ).format(parts=", ".join(_(part) for part in changed)),
            Place(str(store.location)),
            evidence=tuple(line for lines in changed.values() for line in lines)[:5],
            fix=_("Choose another remote folder, or another --out."),
        )


def _holds_a_run(location: Location, newest: Snapshot) -> Problem:
    message = _("the remote folder holds a run, of {time}; --restart does not replace it")
    return Problem(
        "C169",
        message.format(time=newest.written),
        Place(str(location)),
        fix=_("Choose another remote folder, or delete what is there."),
    )


def _is_same(known: Snapshot, state: State) -> bool:
    """Whether the store has the same finished model already."""
    theirs = {name: file.sha256 for name, file in known.files.items() if name.startswith("model/")}
    ours = {file.name: file.sha256 for file in state.files if file.name.startswith("model/")}
    return known.is_finished and theirs == ours


def _state_at(run: RunFolder, step: int, keep: int) -> State:
    """The state as of a whole checkpoint.

    Raises:
        OSError: it is not there.
        ValueError: it is not what it should be.
    """
    from tunesmith.training import checkpoint

    best = checkpoint.read(_checkpoint(run, step)).progress.best_step
    steps = {step, best} - {0}
    files = _loose(run)
    for one in sorted(steps):
        files += _folder(run, _checkpoint(run, one))
    return State(
        step, False, _fingerprint(run), tuple(files), run.log, _size(run.log), keep,
        frozenset(steps),
    )  # fmt: skip


def _finished_state(run: RunFolder) -> State:
    """The state with model, predictions and report, without checkpoints."""
    files = [*_loose(run), *_folder(run, run.predictions), *_folder(run, run.model)]
    if run.report.is_file():
        files.append(LocalFile(run.report.name, run.report))
    steps = int(run.facts().get("steps", 0))
    return State(steps, True, _fingerprint(run), tuple(files), run.log, _size(run.log), 2)


def _loose(run: RunFolder) -> list[LocalFile]:
    paths = (run.recipe, run.plan, run.rejected)
    return [LocalFile(path.name, path) for path in paths if path.is_file()]


def _folder(run: RunFolder, folder: Path) -> list[LocalFile]:
    name = folder.relative_to(run.path).as_posix()
    return [
        LocalFile(f"{name}/{file}", folder / file, digest)
        for file, digest in recorded_hashes(folder).items()
    ]


def _fingerprint(run: RunFolder) -> dict[str, Any]:
    fingerprint = read_plan(run)[0].get("fingerprint", {})
    return {part: fingerprint[part] for part in _PARTS if part in fingerprint}


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.lexists(path) else 0
