"""Data sets of the package, made from a seed with a small grammar. Nothing is downloaded.

`embedded:pairs`     two messages, equivalent or not; columns, classes and sizes of GLUE MRPC
`embedded:tickets`   messages in six classes, with known faults
`embedded:ratings`   reviews with a number
`embedded:entities`  tokens with BIO tags
`embedded:spans`     the same texts with entities in characters
`embedded:choices`   a question on a message, with two to five answers
`embedded:questions` questions on notes, with answers that are parts of them, or none
`embedded:passages`  a query with passages, of which one says the same
`embedded:long`      texts of which a late sentence decides the class, and short ones
`embedded:corpus`    unlabeled text with the same words, on which `embedded:mini` was pretrained

All are in English and Chinese. The same seed gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tunesmith.data.embedded.choices import make_choices
from tunesmith.data.embedded.corpus import make_corpus
from tunesmith.data.embedded.entities import TAGS, make_entities, make_spans
from tunesmith.data.embedded.long import CLASSES as LONG_CLASSES
from tunesmith.data.embedded.long import make_long
from tunesmith.data.embedded.pairs import CLASS_NAMES, make_pairs
from tunesmith.data.embedded.passages import make_passages
from tunesmith.data.embedded.questions import make_questions
from tunesmith.data.embedded.ratings import make_ratings
from tunesmith.data.embedded.tickets import CLASSES, make_tickets
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Column, Splits
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

__all__ = ["NAMES", "open_embedded"]

Rows = Mapping[str, Sequence[Mapping[str, object]]]

_LANGUAGE = Column("language", "text")
_SETS: Mapping[str, tuple[Callable[[], Rows], tuple[Column, ...]]] = {
    "pairs": (
        make_pairs,
        (
            Column("sentence1", "text"),
            Column("sentence2", "text"),
            Column("label", "ClassLabel", CLASS_NAMES),
            Column("idx", "integer"),
        ),
    ),
    "tickets": (
        make_tickets,
        (Column("text", "text"), Column("label", "text", tuple(CLASSES)), _LANGUAGE),
    ),
    "ratings": (make_ratings, (Column("text", "text"), Column("rating", "number"), _LANGUAGE)),
    "entities": (
        make_entities,
        (Column("tokens", "list"), Column("tags", "list", TAGS), _LANGUAGE),
    ),
    "spans": (
        make_spans,
        (Column("text", "text"), Column("entities", "list"), _LANGUAGE),
    ),
    "choices": (
        make_choices,
        (
            Column("context", "text"),
            Column("question", "text"),
            Column("choices", "list"),
            Column("label", "integer"),
            _LANGUAGE,
        ),
    ),
    "questions": (
        make_questions,
        (
            Column("id", "text"),
            Column("context", "text"),
            Column("question", "text"),
            Column("answers", "list"),
            _LANGUAGE,
        ),
    ),
    "passages": (
        make_passages,
        (Column("query", "text"), Column("pos", "list"), Column("neg", "list"), _LANGUAGE),
    ),
    "long": (
        make_long,
        (Column("text", "text"), Column("label", "text", LONG_CLASSES), _LANGUAGE),
    ),
    "corpus": (make_corpus, (Column("text", "text"), Column("text_pair", "text"))),
}
NAMES = tuple(_SETS)


def open_embedded(name: str) -> Splits:
    """The splits of an embedded set.

    Raises:
        DataError: there is none of this name (D105).
    """
    if name not in _SETS:
        close = nearest(name, NAMES)
        fix = _("Embedded sets: {names}.").format(names=", ".join(f"embedded:{n}" for n in NAMES))
        if close:
            fix = _('Did you mean "{name}"?').format(name=f"embedded:{close[0]}") + "\n" + fix
        raise DataError.of(
            "D105", _("there is no such embedded set"), Place(f"embedded:{name}"), fix=fix
        )
    columns = _SETS[name][1]
    return {
        split: Memory(rows, f"embedded:{name}:{split}", columns)
        for split, rows in _rows(name).items()
    }


@cache
def _rows(name: str) -> Rows:
    return _SETS[name][0]()
