"""Problems of classes: spelled in two ways, rare, missing in a split, in another order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

from tunesmith.data.columns import Roles
from tunesmith.data.labels import label_key, spelled
from tunesmith.data.near_duplicates import normalized
from tunesmith.data.profile import as_number
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.column_stats import SplitStats
from tunesmith.text import quoted

__all__ = [
    "class_problems",
    "header_problem",
    "is_rating",
    "label_set_problems",
    "order_problem",
    "spelling_problems",
    "split_problems",
]

_MISSING = frozenset(
    {"na", "n/a", "nan", "none", "null", "nil", "-", "--", "?", "unknown", "无", "空"}
)
_MASKED = "-100"
"""What PyTorch ignores in a loss; many scripts mark unlabeled rows with it."""
_UNEQUAL, _VERY_UNEQUAL = 3, 50
_NUMBERS = 50
"""More different numbers than these look like a measure, not like classes."""
_FEW_ROWS = 20
"""With fewer rows chance explains it."""
_FEWEST_STEPS = 3
_SCALES = ((1, 5), (1, 7), (1, 10), (0, 10), (0, 5))
_RATINGS = ("star", "rating", "score", "grade", "评分", "分数", "打分", "星级", "等级")
_STRATIFIED_ROWS = 2
"""Fewer rows than these cannot be on both sides of a split."""


def spelling_problems(
    counts: Mapping[str, int], kinds: Counter[str], column: str, place: Place
) -> Iterator[Problem]:
    """Classes that differ only in spelling; they would be learned as different ones.

    Args:
        counts: rows per class.
        kinds: labels per type of value that they are written as.
        column: the label's.
        place: of the source.
    """
    if len(kinds) > 1:
        yield Problem(
            "D207",
            _('"{column}" holds labels of several types: {kinds}').format(
                column=column,
                kinds=", ".join(f"{_(kind)} ({count})" for kind, count in kinds.most_common()),
            ),
            place,
            fix=_("Write all labels as text, or all as numbers."),
        )
    alike: dict[str, list[str]] = {}
    for name in counts:
        alike.setdefault(label_key(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            shown = ", ".join(f'"{spelled(name)}" ({counts[name]})' for name in names)
            yield Problem(
                "D203",
                _("{names} look like one class").format(names=shown),
                place,
                fix=_(
                    "Spell them the same, or use --normalize-labels. If they differ, list every "
                    "class in data.labels."
                ),
            )


def label_set_problems(
    values: Sequence[Hashable], total: int, column: str, place: Place
) -> Iterator[Problem]:
    """A task of several labels per row whose rows have one each.

    Args:
        values: the different sets of labels.
        total: rows.
        column: the label's.
        place: of the source.
    """
    sets = [value for value in values if isinstance(value, tuple)]
    if total >= _FEW_ROWS and sets and all(len(names) <= 1 for names in sets):
        yield _warning(
            "D219",
            _('no row has more than one label in "{column}"').format(column=column),
            place,
            fix=_(
                "If several are in one field, name what separates them with --label-separator; "
                "if each row has one, use --task text-classification."
            ),
        )


def header_problem(
    counts: Mapping[str, int], roles: Roles, columns: Sequence[str], place: Place
) -> Iterator[Problem]:
    """The first row seems to have been read as the header.

    Args:
        counts: rows per class.
        roles: which column is what.
        columns: all columns of the source, in order.
        place: of the source.
    """
    if roles.label in counts and any(" " in name.strip() for name in roles.text_columns):
        yield Problem(
            "D113",
            _("the columns are called {names}; is the header missing?").format(
                names=quoted(roles.columns)
            ),
            place,
            fix=_("Use --columns {names}, or write a first line with such names.").format(
                names=",".join(_role_names(roles, columns))
            ),
        )


def _role_names(roles: Roles, columns: Sequence[str]) -> Iterator[str]:
    """Return a name for each column: its role, else its number."""
    names = {roles.text: "text", roles.text_pair: "text_pair", roles.label: "label"}
    return (names.get(name, f"column{number}") for number, name in enumerate(columns, start=1))


def class_problems(counts: Mapping[str, int], column: str, place: Place) -> Iterator[Problem]:
    """Problems of the classes of the training rows and of their frequencies."""
    if len(counts) < 2:
        return
    total = sum(counts.values())
    largest, smallest = max(counts, key=lambda n: counts[n]), min(counts, key=lambda n: counts[n])
    for name, count in counts.items():
        if normalized([name]) in _MISSING:
            code, message = "D209", _('the class "{name}" looks like a missing label')
        elif name == _MASKED:
            code, message = "D212", _("the label {name} often marks a row without one")
        else:
            continue
        fix = _("If so, remove the rows; else ignore this warning.")
        yield _warning(code, message.format(name=name), place, fix=fix, count=count)
    if len(counts) > _NUMBERS and all(as_number(name) is not None for name in counts):
        yield _warning(
            "D216",
            _('"{column}" holds {count} different numbers; a measure, not classes?').format(
                column=column, count=len(counts)
            ),
            place,
            fix=_("To predict the number itself: --task text-regression."),
        )
    if is_rating(counts, column):
        yield Problem(
            "D221",
            _('"{column}" holds the numbers {lowest:g} to {highest:g}, learned as classes').format(
                column=column, lowest=min(map(float, counts)), highest=max(map(float, counts))
            ),
            place,
            fix=_(
                "For a rating, predicting 4 for a 5 is nearly right; to learn it as a number: "
                "--task text-regression."
            ),
            severity=Severity.NOTE,
        )
    rare = [name for name in counts if counts[name] < _STRATIFIED_ROWS]
    if rare and len(rare) * 2 <= len(counts):
        yield _warning(
            "D405",
            _("a single row has the class {names}").format(names=quoted(rare, at_most=5)),
            place,
            fix=_("It cannot be in both training and evaluation: add rows, or merge classes."),
        )
    if counts[largest] >= _UNEQUAL * counts[smallest]:
        is_very = counts[largest] >= _VERY_UNEQUAL * counts[smallest]
        yield Problem(
            "D215",
            _(
                'always predicting "{name}" scores {share:.1%} accuracy; the rarest class "{rare}" '
                "has {count}"
            ).format(
                name=largest,
                share=counts[largest] / total,
                rare=smallest,
                count=counts[smallest],
            ),
            place,
            fix=_("Judge by f1_macro rather than by accuracy."),
            severity=Severity.WARNING if is_very else Severity.NOTE,
        )


def is_rating(names: Collection[str], column: str) -> bool:
    """Whether classes are a scale: 1 to 5, 0 to 10, or another if the column is named like one."""
    numbers = sorted(number for name in names if (number := as_number(name)) is not None)
    is_scale = (
        len(numbers) == len(names)
        and len(numbers) >= _FEWEST_STEPS
        and numbers == [numbers[0] + step for step in range(len(numbers))]
    )
    is_so_called = any(word in column.lower() for word in _RATINGS)
    return is_scale and (is_so_called or (numbers[0], numbers[-1]) in _SCALES)


def split_problems(train: SplitStats, other: SplitStats) -> Iterator[Problem]:
    """Classes of the training rows that an evaluated split lacks."""
    counts = other.counts()
    missing = [
        name
        for name, count in train.counts().items()
        if not counts.get(name) and count >= _STRATIFIED_ROWS
    ]
    if counts and missing:
        yield _warning(
            "D404",
            _("no {split} row has the class {names}").format(
                split=other.name, names=quoted(missing, at_most=5)
            ),
            Place(other.stats.source.name),
            fix=_("How well they are recognized stays unknown: use a larger split."),
        )


def order_problem(labels: Sequence[str], model: str, id2label: Mapping[str, str]) -> Problem | None:
    """The classes are in another order than in the model that is fine-tuned."""
    own = [id2label[key] for key in sorted(id2label, key=int)]
    folded = [label_key(name) for name in own]
    if sorted(folded) != sorted(label_key(name) for name in labels) or folded == [
        label_key(name) for name in labels
    ]:
        return None
    return _warning(
        "D407",
        _("the classes are {labels}; in {model} they are {own}").format(
            labels=quoted(labels), model=model, own=quoted(own)
        ),
        Place("data.labels"),
        fix=_("Its head would start with swapped classes. Use --set data.labels=[{names}].").format(
            names=", ".join(next(n for n in labels if label_key(n) == name) for name in folded)
        ),
    )


def _warning(
    code: str, message: str, place: Place | None, *, fix: str, count: int | None = None
) -> Problem:
    return Problem(code, message, place, fix=fix, severity=Severity.WARNING, count=count)
