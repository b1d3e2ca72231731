"""A recipe file: YAML 1.2 as plain values, with the line and column of every key and value.

It is read by the pure-Python loader of ruamel.yaml in safe mode. Aliases, anchors, tags and
directives are refused: a recipe needs none of them, and each can surprise (`%YAML 1.1` reads the
word `no` as false again).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tunesmith.errors import Place, Problem, RecipeError, first_problems
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe.nested import KeyPath
from tunesmith.text import nearest, shortened

__all__ = ["Document", "Mark", "read_document", "read_scalar"]

MAX_BYTES = 256 * 1024
"""A recipe with every default has 6 kB; reading takes a second per 100 kB."""
MAX_DEPTH = 20
_MOST_BEFORE, _MOST_SHOWN = 60, 160
"""Characters of a long line that are shown: before the caret, and in total."""


_YAML_FIX = N_("Indent with spaces, and put values with special characters in quotes.")

_COMMENT = re.compile(r"""\A[^"'\[{]*(?:\A|\s)#""")
"""A number sign with which YAML begins a comment."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of a key or value: line and column from 1, and its number of characters."""

    line: int
    column: int
    width: int


@dataclass(frozen=True)
class Document:
    """The values of a recipe file and the position of each.

    Attributes:
        name: the path of the file, for messages.
        values: nested plain values.
        lines: the text, line by line.
        keys: the mark of each key by its path.
        marks: the mark of each value by its path.
    """

    name: str
    values: dict[str, object]
    lines: tuple[str, ...] = ()
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    marks: dict[KeyPath, Mark] = field(default_factory=dict)

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place | None:
        """Return the place of the value (or the key) at a path, or of a section around it."""
        mark = self._mark(path, of_key=of_key)
        return Place(self.name, mark.line, mark.column) if mark else None

    def excerpt(self, path: KeyPath, *, of_key: bool = False, remark: str = "") -> tuple[str, ...]:
        """Return the line of a path with carets below it, as evidence for a message."""
        mark = self._mark(path, of_key=of_key)
        return self.caret(mark, remark) if mark else ()

    def _mark(self, path: KeyPath, *, of_key: bool) -> Mark | None:
        for length in range(len(path), 0, -1):
            part = path[:length]
            mark = (self.keys if of_key else self.marks).get(part) or self.keys.get(part)
            if mark:
                return mark
        return None

    def with_paths(self, new_path: Callable[[KeyPath], KeyPath]) -> Document:
        """Return a copy with the marks of keys and values under new paths."""
        keys, marks = (
            {new_path(path): mark for path, mark in each.items()}
            for each in (self.keys, self.marks)
        )
        return replace(self, keys=keys, marks=marks)

    def caret(self, mark: Mark, remark: str) -> tuple[str, ...]:
        """Return the line of a mark with carets and a remark below it."""
        line = min(mark.line, len(self.lines))  # an error may be behind the last line
        text, column = self.lines[line - 1], mark.column
        if len(text) > _MOST_SHOWN:
            start = max(0, column - 1 - _MOST_BEFORE)
            text, column = text[start : start + _MOST_SHOWN], column - start
        width = max(1, min(mark.width, len(text) - column + 1))
        gutter = f"{line} | "
        blank = " " * (len(gutter) - 2) + "| "
        # a tab or a wide character above must stay one below, or the caret points elsewhere
        lead = "".join(
            "\t" if c == "\t" else "\u3000" if ord(c) > 0x2E7F else " " for c in text[: column - 1]
        )
        below = blank + lead + "^" * width + (f"  {remark}" if remark else "")
        return (gutter + text.rstrip("\n"), below)


def read_document(path: Path) -> Document:
    """Read a recipe file.

    Raises:
        RecipeError: it cannot be read or is not the YAML that recipes are written in. Every
            duplicate key is reported at once (R102); aliases, anchors, tags and directives are
            R103.
    """
    try:
        text = _content(path).decode("utf-8-sig")
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = nearest(path.name, siblings)
        raise RecipeError.of(
            "R107",
            _("no such recipe"),
            Place(str(path)),
            fix=_('Did you mean "{name}"?').format(name=path.parent / close[0])
            if close
            else _("`tunesmith init DATA` writes one."),
        ) from None
    except UnicodeDecodeError as error:
        raise RecipeError.of(
            "R106",
            _("the recipe is not UTF-8 (byte {byte:#04x} at offset {offset})").format(
                byte=error.object[error.start], offset=error.start
            ),
            Place(str(path)),
            fix=_("Save it as UTF-8."),
        ) from None
    except OSError as error:
        raise RecipeError.of(
            "R107",
            _("cannot read the recipe: {reason}").format(reason=error.strerror),
            Place(str(path)),
            fix=_("Check that it is a readable file, and its permissions."),
        ) from error
    return parse_document(text, name=str(path))


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file that is not too large.

    Raises:
        RecipeError: it is another kind of file (R107), or too large (R106).
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise RecipeError.of(
            "R107",
            _("this is a folder or a device, not a file"),
            Place(str(path)),
            fix=_("Name a recipe: `tunesmith init DATA` writes one."),
        )
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        message = _("a recipe has at most {limit} kB").format(limit=MAX_BYTES // 1024)
        fix = _("Name a recipe: `tunesmith init DATA` writes one.")
        raise RecipeError.of("R106", message, Place(str(path)), fix=fix)
    return content


def parse_document(text: str, *, name: str) -> Document:
    """Parse a document; raises as `read_document` does."""
    bare = _bare(text, name)
    root = _composed(text, name)
    if root is None:
        return bare
    if not isinstance(root, MappingNode):
        raise RecipeError.of(
            "R106",
            _("a recipe is a list of `key: value` lines"),
            Place(name, 1, 1),
            fix=_("Name a recipe: `tunesmith init DATA` writes one."),
        )
    reader = _Reader(bare)
    values = reader.mapping(root, ())
    if reader.problems:
        raise RecipeError(first_problems(reader.problems))
    return Document(name, values, bare.lines, reader.keys, reader.marks)


def _bare(text: str, name: str) -> Document:
    """Return a document with lines and without values."""
    return Document(name, {}, tuple(text.splitlines()) or ("",))


@lru_cache(maxsize=128)
def _composed(text: str, name: str) -> Node | None:
    """Return the node tree of a text; a run reads its recipe and the same words repeatedly."""
    bare = _bare(text, name)
    try:
        if problems := first_problems(_refused(text, bare)):
            raise RecipeError(problems)
        return _yaml().compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        raise RecipeError(_syntax_problem(error, bare)) from None
    except (YAMLError, ValueError) as error:
        raise RecipeError.of("R106", str(error), Place(name), fix=_(_YAML_FIX)) from None


def read_scalar(written: str) -> object:
    """Read a word of the command line or the environment as YAML."""
    if _COMMENT.search(written):  # a comment in YAML, but a part of the word on a command line
        return written
    try:
        value = parse_document(f"value: {written}", name="").values["value"]
    except RecipeError:
        return written
    # a lone | or > opens a block of text in YAML; on a command line it is a character
    return written if value == "" and written.strip() not in ("''", '""') else value


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _refused(text: str, document: Document) -> Iterator[Problem]:
    """Yield what recipes may not contain, from the events, before any value is made."""
    depth = 0
    for event in _yaml().parse(text):
        what = None
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            what = _("a directive (%)")
        elif isinstance(event, AliasEvent):
            what = _("an alias (*)")
        elif isinstance(event, NodeEvent) and event.anchor:
            what = _("an anchor (&)")
        elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent) and event.tag:
            what = _("a tag (!)")
        if what:
            mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1, 1)
            if isinstance(event, DocumentStartEvent):  # its mark is that of the `---` below
                first = next((i for i, line in enumerate(document.lines, 1) if line[:1] == "%"), 1)
                mark = Mark(first, 1, 1)
            yield Problem(
                "R103",
                _("a recipe may not contain {what}").format(what=what),
                Place(document.name, mark.line, mark.column),
                evidence=document.caret(mark, ""),
                fix=_("Write the value out."),
            )
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
        if depth > MAX_DEPTH:
            message = _("the recipe is nested too deeply")
            fix = _("Write sections and keys only, as `tunesmith init DATA` does.")
            yield Problem("R106", message, Place(document.name), fix=fix)
            return


def _syntax_problem(error: MarkedYAMLError, document: Document) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("R106", str(error), Place(document.name), fix=_(_YAML_FIX))
    line = min(mark.line, len(document.lines) - 1)
    return Problem(
        "R106",
        _("not valid YAML: {reason}").format(reason=error.problem or error.context),
        Place(document.name, line + 1, mark.column + 1),
        evidence=document.caret(Mark(line + 1, mark.column + 1, 1), ""),
        fix=_(_YAML_FIX),
    )


class _Reader:
    """Turns the node tree into values and records the position of each key and value."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.keys: dict[KeyPath, Mark] = {}
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[Problem] = []
        self._constructor = _yaml().constructor

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            mark = _mark_of(key_node)
            if not isinstance(key_node, ScalarNode):
                self._refuse(mark, _("a key is one word"))
                continue
            key = _paired(str(key_node.value))
            here = (*path, key)
            if key in values:
                self.problems.append(
                    Problem(
                        "R102",
                        _('the key "{key}" is here a second time').format(
                            key=shortened(".".join(here))
                        ),
                        Place(self.document.name, mark.line, mark.column),
                        evidence=self.document.caret(
                            mark, _("first in line {line}").format(line=self.keys[here].line)
                        ),
                        fix=_("Remove one of them."),
                    )
                )
                continue
            self.keys[here] = mark
            values[key] = self.value(value_node, here)
        return values

    def _refuse(self, mark: Mark, message: str) -> None:
        place = Place(self.document.name, mark.line, mark.column)
        evidence = self.document.caret(mark, "")
        self.problems.append(Problem("R106", message, place, evidence, _(_YAML_FIX)))

    def value(self, node: Node, path: KeyPath) -> object:
        if node.start_mark.index < node.end_mark.index:  # what is left empty is at its key
            self.marks[path] = _mark_of(node)
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, str(i))) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)  # noqa: S101 - the three kinds of YAML node
        try:
            value = self._constructor.construct_object(node, deep=True)
        except (ValueError, YAMLError, OverflowError):  # no such date; too many digits
            self._refuse(_mark_of(node), _("the value cannot be read; write it in quotes"))
            return None
        if isinstance(value, str):
            return _paired(value)
        # a label or a file may look like a date; recipes have no dates
        return str(node.value) if isinstance(value, date) else value


def _paired(text: str) -> str:
    """Join the halves of surrogate pairs that JSON escapes; a lone half stays one."""
    if text.isprintable():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _mark_of(node: Node) -> Mark:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(1, width))
