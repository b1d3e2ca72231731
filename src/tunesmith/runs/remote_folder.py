"""A run folder and its copy in a store: which one is further, and what is sent when.

Only the first process of a job talks to the store. It holds the run folder already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeGuard

from tunesmith.errors import (
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
from tunesmith.remote.upload import Uploader
from tunesmith.runs.event_history import last_step
from tunesmith.runs.fingerprint import differences
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import has_begun, read_plan
from tunesmith.runs.remote_state import checkpoint_folder, finished_state, is_same, state_at
from tunesmith.storage import atomic, notices

__all__ = ["RemoteFolder", "fetch_run", "mirrored", "peek", "refuse_restart", "upload_speed"]

_STOP_SECONDS = 100.0
"""How long the last state is sent after a stop where no launcher says how much time there is."""


class RemoteFolder:
    """The copy of a run folder while the run goes.

    Attributes:
        mirror: sends states.
        known: the newest state in the store when the run started; None if there was none.
        was_fetched: whether that was brought here.
    """

    def __init__(
        self,
        run: RunFolder,
        store: Store,
        mirror: Mirror,
        fence: int,
        *,
        known: Snapshot | None,
        was_fetched: bool,
    ) -> None:
        self._run, self._store, self.mirror, self._fence = run, store, mirror, fence
        self.known, self.was_fetched = known, was_fetched

    def send_what_is_newer(self) -> None:
        """Have the newest checkpoint sent if the store does not have it."""
        if not self._run.is_finished and has_begun(self._run):
            step = _whole_step(self._run)
            if step > (self.known.step if self.known else 0):
                self.send_checkpoint(step, keep=2)

    def describe(self) -> str | None:
        """Return what was fetched, as text; None for nothing."""
        if self.known is None or not self.was_fetched:
            return None
        return _("fetched from {address}: step {step}, of {time}").format(
            address=self._store.location, step=self.known.step, time=self.known.written
        )

    def send_checkpoint(self, step: int, *, keep: int) -> None:
        """Have the state as of a checkpoint that was just saved sent, while training goes on.

        Raises:
            FolderInUseError: another process took the remote folder over (C164).
        """
        with suppress(OSError, ValueError):  # deleted or damaged: the next one will do
            self.mirror.take(state_at(self._run, step, keep))

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
        IntegrityError: no state in the store is whole (C168).
        RecipeError: the store has another run (C169).
    """
    if location is None:
        yield None
        return
    store = open_store(location)
    refuse_without_conditions(store)
    lease = Lease(store)
    lease.take()
    try:
        had_begun = has_begun(run)
        known, was_fetched = _bring_up_to_date(run, store)
        uploader = Uploader(store, lease, run=known.run if known else None)
        mirror = Mirror(store, lease, uploader.send)
        folder = RemoteFolder(run, store, mirror, lease.fence, known=known, was_fetched=was_fetched)
        try:
            folder.send_what_is_newer()
            yield folder
        except BaseException as error:
            if was_fetched and not had_begun and _is_of_another_recipe(error):
                _take_away(run)
                raise RecipeError(_another_recipe(store, error)) from None
            if (problem := mirror.finish(_grace() * 0.75)) is not None:
                notices.show_now(replace(problem, severity=Severity.WARNING))
            raise
        if run.is_finished:
            state = finished_state(run)
            if known is None or not is_same(known, state):
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
        RecipeError: there is no run (C113), or the folder holds another one (C169).
        ResourceError: the store cannot be used (C161, C162).
        IntegrityError: no state is whole (C168).
    """
    snapshot, _was_fetched = _bring_up_to_date(run, open_store(location))
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


def _bring_up_to_date(run: RunFolder, store: Store) -> tuple[Snapshot | None, bool]:
    """Fetch what the store has more of; return the newest state there, and whether it was fetched.

    Raises:
        RecipeError: the store has another run (C169).
        IntegrityError: it has none that is whole (C168).
    """
    states, warnings = snapshots(store)
    if not states:
        return None, False
    newest = states[0]
    if has_begun(run):
        _refuse_another_run(run, store, newest)
        if not _is_behind(run, newest):
            _report(warnings)
            return newest, False
    fetched, warnings = fetch_newest(store, run.path)
    _report(warnings)
    return fetched, True


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
        if atomic.damage(checkpoint_folder(run, step)) is None:
            return step
    return 0


def _refuse_another_run(run: RunFolder, store: Store, newest: Snapshot) -> None:
    plan = read_plan(run)[0]
    changed = differences(newest.fingerprint, plan["fingerprint"]) if plan else {}
    if changed:
        raise RecipeError.of(
            "C169",
            _(
                "the remote folder holds another run than the local one: it differs in {parts}"
            ).format(parts=", ".join(_(part) for part in changed)),
            Place(str(store.location)),
            evidence=tuple(line for lines in changed.values() for line in lines)[:5],
            fix=_("Choose another remote folder, or another --out."),
        )


def _is_of_another_recipe(error: BaseException) -> TypeGuard[RecipeError]:
    return isinstance(error, RecipeError) and any(one.code == "C108" for one in error.problems)


def _take_away(run: RunFolder) -> None:
    """Delete what was fetched into a folder that held nothing."""
    for path in (
        run.model, run.predictions, run.checkpoints, run.log, run.plan, run.rejected, run.report,
        run.recipe,
    ):  # fmt: skip
        with suppress(ResourceError):
            atomic.remove(path)


def _another_recipe(store: Store, error: RecipeError) -> Problem:
    return Problem(
        "C169",
        _("the remote folder holds a run of another recipe"),
        Place(str(store.location)),
        error.problems[0].evidence,
        fix=_("Choose another remote folder for each run."),
    )


def _holds_a_run(location: Location, newest: Snapshot) -> Problem:
    message = _("the remote folder holds a run, of {time}; --restart does not replace it")
    return Problem(
        "C169",
        message.format(time=newest.written),
        Place(str(location)),
        fix=_("Choose another remote folder, or delete what is there."),
    )
