"""A file of jobs: a JSON object per line, each validated before anything starts.

    {"what": "recipe.yaml", "out": "runs/seed-1", "settings": {"train.seed": 1}}

The keys are the arguments of `tunesmith.start`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from tunesmith.data.open import looks_like_a_file
from tunesmith.errors import (
    Place,
    Problem,
    RecipeError,
    ResourceError,
    TunesmithError,
    first_problems,
)
from tunesmith.i18n import gettext as _
from tunesmith.recipe import Layers, gather
from tunesmith.runs.folder import RUNS, run_name
from tunesmith.storage.disk import as_path
from tunesmith.text import did_you_mean, shortened

__all__ = ["JobLine", "read_job", "read_jobs"]

_KEYS = ("what", "out", "settings")
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class JobLine:
    """One line of a file of jobs.

    Attributes:
        line: its number, from 1.
        what: a recipe, or data: a name, or several files.
        out: the run folder.
        settings: recipe keys such as "train.seed" with their values.
        digest: of the recipe that all of it makes; automatic choices are no part of it.
    """

    line: int
    what: tuple[str, ...]
    out: Path
    settings: Mapping[str, Any]
    digest: str = ""

    def layers(self) -> Layers:
        """The requested settings of its run.

        Raises:
            RecipeError: they are wrong.
        """
        flags = {tuple(key.split(".")): (key, value) for key, value in self.settings.items()}
        if len(self.what) == 1 and self.what[0].endswith((".yaml", ".yml")):
            return gather(file=as_path(self.what[0]), flags=flags)
        data: object = self.what[0] if len(self.what) == 1 else list(self.what)
        return gather(flags={("data", "train"): ("what", data), **flags})


def read_jobs(path: Path) -> list[JobLine]:
    """Read and validate every line.

    Raises:
        RecipeError: the file, or lines of it, with all that is wrong with them: no JSON object of
            known keys (C170), a folder of another line (C171), or what is wrong with a recipe.
        ResourceError: the file cannot be read (C107).
    """
    jobs: list[JobLine] = []
    problems: list[Problem] = []
    for number, line in enumerate(_text_of(path).split("\n"), 1):
        try:
            jobs.append(_validated(line, Place(str(path), number)))
        except TunesmithError as error:
            problems += error.problems
    problems += _shared_folders(jobs, path)
    if problems:
        problems.sort(key=lambda problem: _line_of(problem, path))
        raise RecipeError(first_problems(problems))
    return jobs


def read_job(path: Path, number: int) -> JobLine:
    """Read and validate one line, whatever is in the others; raises as `read_jobs` does."""
    lines = _text_of(path).split("\n")
    if number > len(lines):
        message = _("there is no line {number}; the file has {count}")
        raise _refused(
            Place(str(path)),
            message.format(number=number, count=len(lines)),
            _("Name a line from 1 to {count}.").format(count=len(lines)),
        )
    return _validated(lines[number - 1], Place(str(path), number))


def _validated(line: str, place: Place) -> JobLine:
    """A line as a job whose recipe is valid, and whose files are there."""
    try:
        job = _parsed(line.removesuffix("\r"), place)
        recipe = job.layers().recipe()
        if missing := list(_missing_files(recipe, place)):
            raise RecipeError(missing)
    except TunesmithError as error:
        raise RecipeError(_placed(problem, place) for problem in error.problems) from error
    content = json.dumps(recipe.model_dump(mode="json"), sort_keys=True)
    return replace(job, digest=sha256(content.encode()).hexdigest())


def _text_of(path: Path) -> str:
    """The lines, without the end of the last one."""
    place = Place(str(path))
    if not path.is_file():
        raise _refused(place, _("there is no such file"))
    try:
        if path.stat().st_size > _MOST_BYTES:
            size = f"{_MOST_BYTES >> 20} MB"
            raise _refused(place, _("the file is larger than {size}").format(size=size))
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = _("the file cannot be read: {reason}").format(reason=error.strerror)
        fix = _("Check its permissions, and the disk.")
        raise ResourceError.of("C107", message, place, fix=fix) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise _refused(Place(str(path), line), _("the line is not UTF-8")) from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _refused(Place(str(path)), _("the file is empty"))
    return text


def _refused(place: Place, message: str, fix: str | None = None) -> RecipeError:
    example = '{"what": "recipe.yaml", "out": "runs/seed-1", "settings": {"train.seed": 1}}'
    fix = fix or _("Write a JSON object per line, such as {example}").format(example=example)
    return RecipeError.of("C170", message, place, fix=fix)


class _Repeated(ValueError):
    pass


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Repeated(_('the key "{name}" comes twice').format(name=shortened(twice)))
    return values


def _no_number(word: str) -> NoReturn:
    raise _Repeated(_("{word} is no number of JSON").format(word=word))


def _parsed(line: str, place: Place) -> JobLine:
    """One line as a job.

    Raises:
        RecipeError: it is none (C170), with all that is wrong with it.
    """
    try:
        values = json.loads(line, object_pairs_hook=_object, parse_constant=_no_number)
    except _Repeated as error:
        raise _refused(place, str(error)) from None
    except (ValueError, RecursionError) as error:
        if not line.strip():
            raise _refused(place, _("the line is empty"), _("Remove it.")) from None
        column = getattr(error, "colno", None)
        at = replace(place, column=column)
        reason = getattr(error, "msg", None) or str(error)
        raise _refused(at, _("the line is not JSON: {reason}").format(reason=reason)) from None
    if not isinstance(values, dict):
        raise _refused(place, _("the line is no JSON object"))
    if wrong := list(_wrong_with(values, place)):
        raise RecipeError(wrong)
    named = values["what"]
    what = (named,) if isinstance(named, str) else tuple(named)
    out = values.get("out")
    folder = as_path(out) if out else Path(RUNS) / run_name(what[0])
    return JobLine(place.line or 0, what, folder, values.get("settings") or {})


def _wrong_with(values: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    for name in values:
        if name not in _KEYS:
            message = _('unknown key "{name}"').format(name=shortened(name))
            known = _("Known here: {names}.").format(names=", ".join(_KEYS))
            if "." in name:
                known = _("Keys of the recipe belong into settings.")
            fix = did_you_mean(name, _KEYS, otherwise=known)
            yield Problem("C170", message, place, fix=fix)
    what, out, settings = (values.get(key) for key in _KEYS)
    if "what" not in values:
        fix = _("Name a recipe, or data.")
        yield Problem("C170", _('the key "{name}" is missing').format(name="what"), place, fix=fix)
    elif not (_is_name(what) or (isinstance(what, list) and what and all(map(_is_name, what)))):
        fix = _("Name a recipe or data: a text, or a list of files.")
        yield Problem("C170", _unfit("what", what), place, fix=fix)
    if out is not None and not _is_name(out):
        yield Problem("C170", _unfit("out", out), place, fix=_("Name a folder."))
    if settings is not None and not isinstance(settings, dict):
        fix = _('Write keys of the recipe with their values, such as {"train.seed": 1}.')
        yield Problem("C170", _unfit("settings", settings), place, fix=fix)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _unfit(name: str, value: object) -> str:
    return _("{name} cannot be {value}").format(
        name=name, value=shortened(json.dumps(value, ensure_ascii=False))
    )


def _placed(problem: Problem, place: Place) -> Problem:
    """A problem of a line, with its number; one of a recipe keeps the place there."""
    before = problem.place
    if before is not None and before.source == place.source:
        return problem
    if before is not None and before.line is not None:
        line = _("requested by {place}").format(place=place)
        return replace(problem, evidence=(*problem.evidence, line))
    return replace(problem, place=place)


def _line_of(problem: Problem, path: Path) -> int:
    place = problem.place
    return (place.line or 0) if place and place.source == str(path) else 0


def _missing_files(recipe: Any, place: Place) -> Iterator[Problem]:
    """A problem for each file that a recipe names and that does not exist."""
    named: list[str] = []
    for value in (recipe.data.train, recipe.data.validation, recipe.data.test):
        names = value if isinstance(value, list | tuple) else [value]
        named += (name for name in names if isinstance(name, str) and not name.endswith("%"))
    for name in dict.fromkeys(named):
        if looks_like_a_file(name) and not name.startswith("embedded:"):
            path = as_path(name)
            if not os.path.lexists(path) and not _is_number(name):
                fix = _("Paths are relative to the folder that the command is called in.")
                message = _("there is no file {name}").format(name=shortened(name))
                yield Problem("C170", message, place, fix=fix)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shared_folders(jobs: Iterable[JobLine], path: Path) -> Iterator[Problem]:
    """A problem for each line whose folder is that of an earlier one, or is inside of it."""
    first: dict[Path, int] = {}
    real = [(job, Path(os.path.realpath(job.out))) for job in jobs]
    for job, folder in real:
        if (other := first.setdefault(folder, job.line)) != job.line:
            message = _("line {other} has the same run folder: {folder}")
            yield _shared(message, job, other, path)
    for job, folder in real:
        inside = next((first[parent] for parent in folder.parents if parent in first), None)
        if inside is not None:
            message = _("its run folder {folder} is inside of that of line {other}")
            yield _shared(message, job, inside, path)


def _shared(message: str, job: JobLine, other: int, path: Path) -> Problem:
    return Problem(
        "C171",
        message.format(other=other, folder=job.out),
        Place(str(path), job.line),
        fix=_("Give each line a folder of its own with out."),
    )
