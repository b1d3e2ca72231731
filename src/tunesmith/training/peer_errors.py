"""Errors that travel between the processes of a job, as JSON, and what they mean to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.errors import Interrupted, PeerError, Problem, TunesmithError
from tunesmith.i18n import gettext as _

__all__ = ["ended_silently", "error_as_json", "error_of", "no_job", "not_answering", "shared_error"]


def no_job(reason: str) -> Problem:
    """Return the problem of processes that are not of one job."""
    return Problem(
        "C139",
        _("the processes are not one job: {reason}").format(reason=reason),
        fix=_("torchrun and accelerate set it for several processes; for one, unset it."),
    )


def ended_silently(rank: int | None, reason: str, host: str | None = None) -> dict[str, Any]:
    """The failure of a process that did not report one: the same command may succeed."""
    return {"rank": rank, "host": host, "reason": reason, "code": PeerError.exit_code}


def not_answering(rank: int | None, reason: str, host: str | None = None) -> dict[str, Any]:
    """The failure of a process that does not answer, and may run yet."""
    return {**ended_silently(rank, reason, host), "silent": True}


def error_as_json(error: BaseException) -> dict[str, Any]:
    """Return what others need to know of an error."""
    if isinstance(error, TunesmithError):
        problems = [problem.as_json() for problem in error.problems]
        return {"problems": problems, "code": error.exit_code}
    if isinstance(error, GeneratorExit):  # the caller reads no more events
        return {"reason": _("its caller ended it"), "code": PeerError.exit_code}
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    return {"reason": reason, "code": 130 if isinstance(error, KeyboardInterrupt) else 70}


def shared_error(values: dict[str, Any]) -> PeerError:
    """An error that every process raises alike."""
    problems = [Problem.from_json(each) for each in values["problems"]]
    return PeerError(problems, exit_code=values["code"])


def error_of(failure: dict[str, Any]) -> TunesmithError:
    """The error of a process because another failed."""
    problems = [Problem.from_json(values) for values in failure.get("problems", ())]
    rank, code = failure["rank"], int(failure["code"])
    if problems and problems[0].code == "C112":
        return Interrupted(problems, by_keyboard=code == 130)
    if problems and problems[0].code == "C141":
        return PeerError(problems, exit_code=code)
    reason = failure.get("reason") or f"{problems[0].code} {problems[0].message}"
    message = reason
    if rank is not None:
        where = _("process {rank}") if not failure.get("host") else _("process {rank} on {host}")
        named = where.format(rank=rank, host=failure.get("host"))
        message = _("{process} failed: {reason}").format(process=named, reason=reason)
    return PeerError(
        Problem("C141", message, evidence=_lines(problems), fix=_what_to_do(code)),
        exit_code=code,
        is_silent=bool(failure.get("silent")),
    )


def _lines(problems: Sequence[Problem]) -> tuple[str, ...]:
    return tuple(line for problem in problems for line in str(problem).splitlines())[:12]


def _what_to_do(code: int) -> str:
    if code in (PeerError.exit_code, 130):
        return _("All processes stop. The same command continues.")
    return _("All processes stop. Repair what it reports; the same command continues.")
