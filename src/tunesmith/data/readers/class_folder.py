"""Folders named after classes, with a text per file: `reviews/pos/1.txt`, as in aclImdb.

A folder has either classes, or splits (`train`, `test`) with classes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.findings import BadRecords, Finding
from tunesmith.data.readers.encodings import (
    detect_encoding,
    encoding_by_mark,
    known_codec,
    not_in_encoding,
)
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import AUTO, require_regular_file
from tunesmith.data.rows import (
    MAX_ROW_BYTES,
    Column,
    PathSource,
    Row,
    in_chunks,
    selected,
    too_long,
)
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import quoted

__all__ = ["SPLIT_WORDS", "ClassFolder", "class_folders", "tables_among_classes"]

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
"""Names of the files and folders of each split."""

_WITHOUT_LABEL = ("unsup", "unlabeled", "unlabelled")
"""Names of folders of unlabeled texts in published sets."""
_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True)
class ClassFolder(PathSource):
    """The texts of some classes.

    Attributes:
        path: the folder with a folder for each class.
        files: the file of each row and its class, by class and then by the numbers in its name.
        encoding: of the files: a codec, or "auto": UTF-8, else `fallback`.
        fallback: detected for files that are not UTF-8.
        notes: on what was left out and detected.
    """

    files: tuple[tuple[Path, str], ...]
    encoding: str
    fallback: str | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = (Column("text", "text"), Column("label", "text"))

    @classmethod
    def open(cls, path: Path, encoding: str | None = None) -> ClassFolder:
        """List the files.

        Args:
            path: a folder with folders of texts.
            encoding: of the files; None for UTF-8, "auto" to detect it.

        Raises:
            DataError: there is a single class (D125), or other files than texts (D124).
        """
        classes = _classes_in(path)
        labeled = [folder for folder in classes if folder.name.lower() not in _WITHOUT_LABEL]
        if len(labeled) < 2:
            names = quoted([folder.name for folder in labeled]) or "-"
            message = _("texts of one class only: {names}").format(names=names)
            fix = _("Give the folder with a folder for each class.")
            raise DataError.of("D125", message, Place(str(path)), fix=fix)
        files = tuple((file, _label_of(folder)) for folder in labeled for file in _texts_of(folder))
        notes = [
            _("{folder}: left out, its texts have no label").format(folder=folder)
            for folder in classes
            if folder not in labeled
        ]
        if loose := [entry.name for entry in _visible(path) if entry.is_file()]:
            note = _("{folder}: files next to the classes are left out: {names}")
            notes.append(note.format(folder=path, names=quoted(loose, at_most=5)))
        if encoding != AUTO:
            codec = known_codec(encoding or "utf-8", Place(str(path)))
            return cls(path, files, codec, notes=tuple(notes))
        fallback = _detect(file for file, _label in files)
        if fallback:
            note = _("{file} is read as {encoding} (detected)")
            notes.append(note.format(file=path, encoding=fallback))
        return cls(path, files, AUTO, fallback, tuple(notes))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows; then raise a `BadRecordsError` for the files that cannot be read."""
        names = selected(self.columns, columns)
        bad = BadRecords(self)
        yield from in_chunks(self._good_rows(names, bad))
        bad.raise_if_any()

    def _good_rows(self, names: Sequence[str], bad: BadRecords) -> Iterator[tuple[Row, int]]:
        """Yield the rows whose files can be read, each with its size."""
        for index, (file, label) in enumerate(self.files):
            text = self._text_of(file) if "text" in names else ""
            if isinstance(text, Finding):
                bad.reject(index, text, Place(str(file)))
                continue
            values: dict[str, object] = {"text": text, "label": label}
            yield Row(index, {name: values[name] for name in names}), len(text)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the files of some rows."""
        return {index: Place(str(self.files[index][0])) for index in indices}

    def _text_of(self, file: Path) -> str | Finding:
        with coded(str(file), _("text")):
            content = _content(file)
        if content is None:
            problem = too_long(Place(str(file)))
            return Finding(problem.code, problem.message)
        codec = encoding_by_mark(content) or ("utf-8" if self.encoding == AUTO else self.encoding)
        try:
            text = _decoded(content, codec, self.fallback)
        except UnicodeError:
            problem = not_in_encoding(codec, content[:_SAMPLE_BYTES], Place(str(file)))
            return Finding(problem.code, problem.message, problem.fix)
        if "\0" in text:
            return Finding(
                "D103",
                _("the file holds a NUL byte; it is not clean text"),
                _("Export it again as UTF-8 text, or name its encoding with --encoding."),
            )
        return text.strip()


def class_folders(path: Path) -> dict[str, Path]:
    """Return the folders with folders of classes, by split; the folder itself is "train"."""
    inner = [entry for entry in path.iterdir() if entry.is_dir()]
    splits = {
        split: entry
        for split, words in SPLIT_WORDS.items()
        for entry in inner
        if entry.name.lower() in words and _holds_classes(entry)
    }
    if splits:
        return splits
    return {"train": path} if _holds_classes(path) else {}


def tables_among_classes(path: Path, tables: Sequence[str], folders: Mapping[str, Path]) -> Problem:
    """Return the problem of a folder with classes and tables (D124)."""
    return Problem(
        "D124",
        _("the folder contains tables ({tables}) and folders of texts ({folders})").format(
            tables=quoted(tables, at_most=5),
            folders=quoted(
                [f.name for root in folders.values() for f in _classes_in(root)], at_most=5
            ),
        ),
        Place(str(path)),
        fix=_("Keep them apart, or name the table itself."),
    )


def _classes_in(path: Path) -> list[Path]:
    """Return the folders of texts in a folder, by name."""
    return [entry for entry in _visible(path) if entry.is_dir() and _has_texts(entry)]


def _holds_classes(path: Path) -> bool:
    """Whether a folder has a folder of texts."""
    return bool(_classes_in(path))


def _label_of(folder: Path) -> str:
    """The name of a folder with accents as parts of their letters, whatever system named it."""
    return unicodedata.normalize("NFC", folder.name)


def _visible(path: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden; 2.txt comes before 10.txt."""
    hidden = ("thumbs.db", "desktop.ini")
    entries = [e for e in path.iterdir() if e.name[0] != "." and e.name.lower() not in hidden]
    return sorted(entries, key=_by_numbers)


def _by_numbers(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    name = unicodedata.normalize("NFC", path.name)
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", name)
    return [
        (not p.isdigit(), int(p) if len(p) < 19 and p.isdigit() else 0, p) for p in parts
    ], path.name


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in (".txt", "")


def _has_texts(folder: Path) -> bool:
    return any(_is_text(entry) and entry.is_file() for entry in _visible(folder))


def _texts_of(folder: Path) -> list[Path]:
    entries = _visible(folder)
    others = [entry.name for entry in entries if not (_is_text(entry) and entry.is_file())]
    if others:
        message = _("other files than .txt among the texts of a class: {names}").format(
            names=quoted(others, at_most=5)
        )
        fix = _("Move it elsewhere, or save it as .txt.")
        raise DataError.of("D124", message, Place(str(folder)), fix=fix)
    return entries


def _content(file: Path) -> bytes | None:
    """Return the bytes of a file, None if there are more than `MAX_ROW_BYTES`."""
    require_regular_file(file)
    with file.open("rb") as opened:
        content = opened.read(MAX_ROW_BYTES + 1)
    return content if len(content) <= MAX_ROW_BYTES else None


def _decoded(content: bytes, codec: str, fallback: str | None) -> str:
    try:
        return content.decode(codec)
    except UnicodeError:
        if fallback is None:
            raise
        return content.decode(fallback)


def _detect(files: Iterator[Path]) -> str | None:
    """Detect the encoding of the first files that are not UTF-8, together."""
    sample = b""
    for file in files:
        with coded(str(file), _("text")):
            content = _content(file) or b""
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            sample += content
        if len(sample) > _SAMPLE_BYTES:
            break
    return detect_encoding(sample[:_SAMPLE_BYTES]) if sample else None
