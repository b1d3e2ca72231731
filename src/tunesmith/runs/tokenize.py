"""The rows of a run as token ids: whole sources, or shards as training comes to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tunesmith.data.batches import Examples
from tunesmith.data.encoded import Encoded, Prepared, hold_in_memory
from tunesmith.data.findings import Finding, Findings, placed
from tunesmith.data.rows import Row
from tunesmith.data.sharded import Sharded
from tunesmith.data.streamed import StreamedExamples, TokenizedShards
from tunesmith.data.token_cache import prepare, prepare_chunks
from tunesmith.data.windows import WindowedOrder
from tunesmith.errors import DataError, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split, ValidatedInputs
from tunesmith.inputs.left_out import left_out
from tunesmith.inputs.streaming import Streaming
from tunesmith.runs.fingerprint import hash_of
from tunesmith.storage import notices
from tunesmith.tasks import Task

__all__ = ["order_of", "tokenize", "tokenizer_identity"]

_SAMPLE = 10_000
"""Rows whose lengths stand for those of all that are streamed."""


def tokenizer_identity(tokenizer: Any) -> str:
    """A hash of all that decides how a tokenizer cuts text."""
    return hash_of(
        [
            tokenizer.backend_tokenizer.to_str(),
            list(tokenizer.model_input_names),
            tokenizer.truncation_side,
        ]
    )


def tokenize(
    checked: ValidatedInputs, task: Task, tokenizer: Any, max_length: int, identity: str
) -> dict[str, Examples]:
    """The examples of each split; a source is prepared whole, whatever shares are drawn from it.

    A fraction is drawn by rows, and a row may have given several examples, or none. Training rows
    that are streamed are not tokenized yet, but for a sample.

    Args:
        checked: the rows.
        task: how they are encoded.
        tokenizer: of the model.
        max_length: tokens of a sequence.
        identity: of the tokenizer.
    """
    settings = {"tokenizer": identity, "max_length": max_length, "task": task.encoding}
    opened: dict[int, Prepared] = {}
    examples: dict[str, Examples] = {}
    for name, split in checked.splits.items():
        if name == "train" and checked.streaming is not None:
            own = copy.deepcopy(tokenizer)
            encoder = _Encoder(checked.streaming.source, task, own, max_length)
            seed = checked.recipe.train.seed
            examples[name] = _streamed(checked.streaming, encoder, settings, seed)
            continue
        if id(split.source) not in opened:
            opened[id(split.source)] = _prepare(split, task, tokenizer, max_length, settings)
        prepared, places = opened[id(split.source)], split.places
        if places is not None:
            is_drawn = np.zeros(int(prepared.rows.max(initial=-1)) + 1, dtype=np.bool_)
            is_drawn[places[places < len(is_drawn)]] = True
            places = np.flatnonzero(is_drawn[prepared.rows])
        examples[name] = Examples(prepared, places)
    return examples


def order_of(examples: Examples) -> WindowedOrder | None:
    """The order of examples that are streamed; None for others."""
    return examples.order if isinstance(examples, StreamedExamples) else None


def _prepare(
    split: Split, task: Task, tokenizer: Any, max_length: int, settings: Mapping[str, object]
) -> Prepared:
    names = {column.name for column in split.source.columns}

    def encode(rows: Sequence[Row]) -> Encoded:
        try:
            return task.encode(rows, tokenizer, max_length, labeled=split.is_labeled)
        except DataError as error:
            raise placed(error, split.source) from None

    return prepare(
        split.source,
        columns=[name for name in task.roles.columns if name in names],
        digest=split.digest,
        settings={**settings, "labelled": split.is_labeled},
        encode=encode,
    )


def _streamed(
    streaming: Streaming, encoder: _Encoder, settings: Mapping[str, object], seed: int
) -> StreamedExamples:
    source, numbers = streaming.source, streaming.sample.numbers
    names = {column.name for column in source.columns}
    columns = [name for name in encoder.task.roles.columns if name in names]
    settings = {**settings, "labelled": True, "columns": columns, "skips": source.skips_bad}

    def shard(number: int) -> Prepared:
        return prepare_chunks(
            partial(source.shard, number, columns),
            digest=source.identity(number),
            settings=settings,
            encode=encoder.encode,
            is_shard=True,
        )

    some = numbers[np.unique(np.linspace(0, len(numbers) - 1, _SAMPLE).astype(np.int64))]
    rows = source.rows_at(some.tolist(), columns)
    sample = hold_in_memory(encoder.encode([rows[number] for number in sorted(rows)]))
    return StreamedExamples(
        sample,
        order=WindowedOrder(streaming.held_out.remaining, streaming.window, seed),
        held_out=streaming.held_out,
        shards=TokenizedShards(shard),
    )


@dataclass(frozen=True)
class _Encoder:
    """Tokenizes rows that nothing has checked yet; a thread of its own may call it.

    Attributes:
        source: of the rows.
        task: how they are encoded.
        tokenizer: of this object alone: its settings change while it cuts long texts.
        max_length: tokens of a sequence.
    """

    source: Sharded
    task: Task
    tokenizer: Any
    max_length: int

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Return the rows that can be used as numbers.

        Raises:
            DataError: some cannot, and are not left out; with their places.
        """
        good, findings = [], Findings(self.source)
        for row in rows:
            if finding := self._finding(row):
                findings.add(row.index, finding)
            else:
                good.append(row)
        if findings:
            self._report(list(findings.problems()))
        try:
            return self.task.encode(good, self.tokenizer, self.max_length, labeled=True)
        except DataError as error:
            raise placed(error, self.source) from None

    def _finding(self, row: Row) -> Finding | None:
        finding = self.task.validate_row(row)
        if finding is None and not self.task.is_labeled(row):
            return Finding("D201", _("the label is empty"), _("Label or remove the rows."))
        return finding if finding is not None and finding.severity is Severity.ERROR else None

    def _report(self, problems: Sequence[Problem]) -> None:
        if not self.source.skips_bad:
            flags = ("--on-bad-row", "skip")
            raise DataError([replace(problem, flags=flags) for problem in problems])
        for problem in problems:
            notices.notify_once((problem.code, str(problem.place)), left_out(problem))
