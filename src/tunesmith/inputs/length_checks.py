"""Lengths in tokens, before any model is loaded: with the tokenizer, if it is on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import ModelError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.models import EMBEDDED, ModelFiles, longest_input, read_backend
from tunesmith.storage import hub
from tunesmith.tasks import Task
from tunesmith.tasks.long_texts.options import HEAD
from tunesmith.tasks.long_texts.places import num_windows

__all__ = [
    "Lengths",
    "Reader",
    "estimated_length_problems",
    "length_problems",
    "measure",
    "reader_of",
]

_BINS = (8, 16, 32, 64, 128, 256, 512, 1024)
_MUCH_UNKNOWN = 0.05
_BATCH_CHARACTERS = 1_000_000
_COUNTED_CHARACTERS = 100_000
"""Of longer texts the beginning is counted; no model reads more."""
_USUAL_LIMIT = 512
_PIECE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)


@dataclass(frozen=True)
class Reader:
    """The tokenizer of a model, without weights and transformers.

    Attributes:
        name: of the model.
        files: of the model.
        backend: its tokenizer, of the library `tokenizers`.
        unknown: the id of the unknown token, None without one.
        model_max_length: of its tokenizer.
    """

    name: str
    files: ModelFiles
    backend: Any
    unknown: int | None
    model_max_length: int

    def limit(self, max_length: int | None) -> int:
        """Return how many tokens a row may have, given `train.max_length`."""
        longest = longest_input(self.files, self)
        return min(max_length or longest, longest)


def reader_of(name: str | None, revision: str | None) -> Reader | None:
    """Return the reader of a model, None if it is not on this machine."""
    folder = _folder(name, revision) if name else None
    if folder is None or not (folder / "tokenizer.json").is_file():
        return None
    files = ModelFiles(str(name), folder)
    try:
        files.config()
        backend, config = read_backend(files)
    except ModelError:
        return None  # reported when it is loaded
    unknown = config.get("unk_token")
    if isinstance(unknown, dict):
        unknown = unknown.get("content")
    return Reader(
        str(name),
        files,
        backend,
        backend.token_to_id(unknown) if isinstance(unknown, str) else None,
        config["model_max_length"],
    )


def _folder(name: str, revision: str | None) -> Path | None:
    if name.startswith("embedded:"):
        from tunesmith.models.embedded import embedded_folder

        return embedded_folder(EMBEDDED)  # all embedded models have one tokenizer
    path = Path(name).expanduser()
    if path.is_dir():
        return path / "model" if (path / "model" / "config.json").is_file() else path
    return hub.cached_folder(name, revision=revision)


@dataclass(frozen=True)
class Lengths:
    """How long rows are, in tokens.

    Attributes:
        rows: number of rows.
        median: of their tokens.
        most: tokens that 95 % of the rows do not exceed.
        longest: row.
        limit: of the model or the recipe.
        rows_cut: fraction of the rows that are longer.
        tokens_cut: fraction of all tokens that is cut.
        unknown: fraction of the tokens that are unknown.
        times_windows: tokens of all rows in windows that overlap by a quarter, relative to those
            that are not cut.
        histogram: rows by the power of two that their tokens do not exceed.
    """

    rows: int
    median: int
    most: int
    longest: int
    limit: int
    rows_cut: float
    tokens_cut: float
    unknown: float
    times_windows: float
    histogram: dict[int, int]

    @property
    def note(self) -> str:
        """These numbers on one line."""
        return _(
            "tokens per row: median {median}, 95 % up to {most}, longest {longest}; limit {limit}"
        ).format(median=self.median, most=self.most, longest=self.longest, limit=self.limit)


def _counted(text: Any) -> Any:
    """Return the part of a text or pair that is counted."""
    if isinstance(text, str):
        return text[:_COUNTED_CHARACTERS]
    return tuple(part[:_COUNTED_CHARACTERS] for part in text)


def _times_counted(text: Any) -> float:
    """Return the length of a text or pair relative to the part that is counted."""
    parts = (text,) if isinstance(text, str) else text
    counted = sum(min(len(part), _COUNTED_CHARACTERS) for part in parts)
    return sum(map(len, parts)) / max(1, counted)


def _batches(texts: Sequence[Any]) -> Iterator[list[Any]]:
    """Group texts or pairs by size: an encoding takes a hundred times the memory of its text."""
    batch: list[Any] = []
    held = 0
    for text in texts:
        batch.append(_counted(text))
        held += len(text) if isinstance(text, str) else sum(map(len, text))
        if len(batch) == 1000 or held > _BATCH_CHARACTERS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def measure(reader: Reader, rows: Sequence[tuple[str, ...]], limit: int) -> Lengths:
    """Count the tokens of rows, at least one."""
    # tokenizers take one text or two
    texts: list[Any] = [row if len(row) == 2 else "\n".join(row) for row in rows]
    lengths = np.empty(len(texts), dtype=np.int64)
    unknown = counted = start = 0
    for batch in _batches(texts):
        for i, encoding in enumerate(reader.backend.encode_batch_fast(batch), start):
            counted += len(encoding.ids)
            lengths[i] = round(len(encoding.ids) * _times_counted(texts[i]))
            if reader.unknown is not None:
                unknown += encoding.ids.count(reader.unknown)
        start += len(batch)
    total = int(lengths.sum())
    return Lengths(
        len(texts),
        int(np.median(lengths)),
        int(np.quantile(lengths, 0.95, method="higher")),
        int(lengths.max()),
        limit,
        float((lengths > limit).mean()),
        float(np.maximum(lengths - limit, 0).sum() / max(1, total)),
        unknown / max(1, counted),
        times_windows(lengths, limit),
        _histogram(lengths),
    )


def _histogram(lengths: NDArray[np.int64]) -> dict[int, int]:
    tops = [top for top in _BINS if top < lengths.max()]
    tops.append(next((top for top in _BINS if top >= lengths.max()), int(lengths.max())))
    counts = np.bincount(np.searchsorted(tops, lengths, side="left"), minlength=len(tops))
    return {top: int(count) for top, count in zip(tops, counts, strict=True)}


def estimated_length_problems(
    rows: Sequence[tuple[str, ...]], limit: int | None, place: Place, task: Task
) -> Iterator[Problem]:
    """Yield a problem if texts will probably be cut, without a tokenizer to count their tokens.

    Args:
        rows: the texts of rows, at least one.
        limit: tokens that a row may have; None for the limit of most models.
        place: of the source.
        task: what reads them.
    """
    if not task.cuts_long_texts:
        return
    limit = limit or _USUAL_LIMIT
    pieces = np.array([sum(map(_least_tokens, row)) for row in rows])
    too_long = pieces > limit
    if not too_long.any():
        return
    yield Problem(
        "D410",
        _(
            "{rows:.1%} of rows have more than {limit} words or Chinese characters, the longest "
            "{longest}; a model that reads {limit} tokens cuts them"
        ).format(rows=float(too_long.mean()), limit=limit, longest=int(pieces.max())),
        place,
        fix=_with_advice(
            _(
                "Choose a model that reads longer texts, or shorten them; tokens are counted once "
                "the model is on this machine."
            ),
            task.advise_on_cuts(times_windows(pieces, limit)),
        ),
        severity=Severity.WARNING,
    )


def times_windows(lengths: NDArray[np.int64], limit: int) -> float:
    """Return the tokens of rows in windows, relative to those of rows that are cut."""
    needed = np.array([num_windows(length, limit) for length in lengths.tolist()])
    overlap = (np.minimum(needed, HEAD.max_windows) - 1) * (limit // 4)
    most = limit * HEAD.max_windows - overlap
    return float((np.minimum(lengths, most) + overlap).sum() / np.minimum(lengths, limit).sum())


def _with_advice(fix: str, advice: str | None) -> str:
    return f"{fix}\n{advice}" if advice else fix


def _least_tokens(text: str) -> int:
    """Count words, and characters of scripts without spaces: a lower bound of the tokens."""
    return len(_PIECE.findall(text))


def length_problems(lengths: Lengths, model: str, place: Place, task: Task) -> Iterator[Problem]:
    """Yield the problems of texts that are cut, or that the model cannot read.

    Args:
        lengths: of the rows.
        model: its name.
        place: of the source.
        task: what reads them.
    """
    if task.cuts_long_texts and lengths.rows_cut:
        yield Problem(
            "D320",
            _(
                "{rows:.1%} of rows are longer than {limit} tokens; {tokens:.1%} of tokens are cut"
            ).format(rows=lengths.rows_cut, limit=lengths.limit, tokens=lengths.tokens_cut),
            place,
            fix=_with_advice(
                _("Raise train.max_length if the model takes more, or choose one that does."),
                task.advise_on_cuts(lengths.times_windows),
            ),
            severity=Severity.WARNING,
        )
    if lengths.unknown > _MUCH_UNKNOWN:
        yield Problem(
            "D322",
            _("{fraction:.0%} of tokens are unknown to {model}").format(
                fraction=lengths.unknown, model=model
            ),
            place,
            fix=_("Choose a model for this language with --model."),
            severity=Severity.WARNING,
        )
