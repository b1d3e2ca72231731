from __future__ import annotations

import itertools
import json
import math
import signal
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.errors import PeerError, RecipeError
from tunesmith.jobs import exit_codes
from tunesmith.jobs.exit_codes import Ended, job_code, leave, read

KILL, TERM, INT, ABRT = (
    -getattr(signal, f"SIG{name}", 0) for name in ("KILL", "TERM", "INT", "ABRT")
)


def one(rank: int, code: int | None, time: float | None = None, *, lost: bool = False) -> Ended:
    """One that left its code at a time, or was killed."""
    return Ended(rank, 10, code, math.inf if time is None else time, lost_another=lost)


def code_of(*processes: Ended, requested: int | None = None) -> int:
    """The code, in whichever order the processes are looked at."""
    codes = {job_code(some, requested=requested)[0] for some in itertools.permutations(processes)}
    assert len(codes) == 1
    return codes.pop()


def test_done() -> None:
    assert code_of(one(0, 0, 1), one(1, 0, 2)) == 0
    assert code_of(one(0, 0, 1), one(1, 0, 2), requested=75) == 0, "it was done before"


@needs("signals")
def test_stopped() -> None:
    """Also what the launcher ended because another process was faster."""
    assert code_of(one(0, 75, 1), one(1, 75, 2)) == 75
    assert code_of(one(0, 75, 1), one(1, TERM)) == 75
    assert code_of(one(0, 75, 1), one(1, 0, 2)) == 75
    assert code_of(one(0, 130, 1), one(1, 130, 2)) == 130
    assert code_of(one(0, 130, 1), one(1, INT)) == 130
    assert code_of(one(0, 130, 1), one(1, 75, 2)) == 75
    assert code_of(one(0, None), one(1, None), requested=75) == 75
    assert code_of(one(0, None), one(1, None), requested=130) == 130
    assert code_of(one(0, 75, 1), one(1, 75, 2, lost=True), requested=75) == 75
    assert code_of(one(0, 75, 1), one(1, 70, 2, lost=True), requested=75) == 75


@needs("signals")
def test_the_cause_of_a_failure() -> None:
    assert code_of(one(0, 4, 1), one(1, TERM)) == 4
    assert code_of(one(0, 4, 1), one(1, 75, 2)) == 4, "stopped because the other failed"
    assert code_of(one(0, 2, 2), one(1, 4, 1)) == 4, "the first"
    assert code_of(one(0, 4, 1), one(1, KILL)) == 4, "killed when its time was over"
    assert code_of(one(0, 4, 1), one(1, ABRT)) == 4, "by a library, as its partner was gone"
    assert code_of(one(0, 4, 1), requested=75) == 4, "it could not save"


@needs("signals")
def test_what_only_fails_because_of_another_is_no_cause() -> None:
    """It may have ended before: process 0 waits for the others."""
    for code in (2, 4, 6, 70):
        processes = [one(0, code, 2), one(1, code, 1, lost=True), one(2, TERM)]
        assert job_code(processes) == (code, processes[0])
    assert code_of(one(0, 6, 1, lost=True), one(1, 6, 2, lost=True)) == 6, "on another machine"


@needs("signals")
def test_a_killed_process_is_a_cause() -> None:
    """The others fail because of it; memory may have run out, so it is not run again unasked."""
    assert code_of(one(0, KILL), one(1, TERM)) == 137
    assert code_of(one(0, KILL), one(1, 75, 1)) == 137
    assert code_of(one(0, KILL), one(1, 75, 1, lost=True)) == 137
    assert code_of(one(0, KILL), one(1, 70, 1)) == 137
    assert code_of(one(0, KILL), one(1, ABRT)) == 137


@needs("signals")
def test_a_process_that_does_not_answer_is_killed_to_end_the_job() -> None:
    """As one that is suspended: no reason not to run the same command again."""
    silent = Ended(1, 10, 75, 1, lost_another=True, lost_silent=True)
    assert code_of(one(0, KILL), silent) == 75
    assert code_of(one(0, 4, 1), silent) == 4


def test_one_that_waited_in_vain_ends_without_leaving_its_code(tmp_path: Path) -> None:
    leave(tmp_path, 0)
    assert read(tmp_path, {0: 75}, 1)[0].lost_silent
    assert not read(tmp_path, {0: 6}, 1)[0].lost_silent


def test_what_a_process_leaves_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(exit_codes, "_problems", [])
    monkeypatch.setattr(exit_codes, "_lost", [])
    leave(tmp_path, 1)
    assert read(tmp_path, {1: -9}, 2)[1].code == -9, "it was killed"
    exit_codes.remember(RecipeError.of("R100", "no such option"))
    leave(tmp_path, 1, 2)
    none, left = read(tmp_path, {0: 1}, 2)
    assert (none.code, none.pid) == (1, None)
    assert (left.code, left.speaks, left.problems[0].code) == (2, False, "R100")
    assert not left.lost_another
    exit_codes.remember(PeerError.of("C141", "process 0 failed"))
    leave(tmp_path, 1, 6)
    left = read(tmp_path, {}, 2)[1]
    assert left.lost_another
    assert not left.lost_silent
    exit_codes.remember(PeerError(left.problems, is_silent=True))
    leave(tmp_path, 1, 75)
    assert read(tmp_path, {}, 2)[1].lost_silent
    (tmp_path / "rank-1.json").write_text(json.dumps("")[:1])
    assert read(tmp_path, {}, 2)[1].code is None


def test_without_the_folder_nothing_fails(tmp_path: Path) -> None:
    leave(tmp_path / "gone", 0, 75)
