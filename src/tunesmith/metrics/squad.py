"""Scores of answers from a text, as the scripts of SQuAD and MLQA compute them, times 100.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (2016); "Know What
You Don't Know: Unanswerable Questions for SQuAD" (2018), whose evaluate-v2.0.py has the scores of
questions with and without an answer and the best thresholds; Lewis et al., "MLQA: Evaluating
Cross-lingual Extractive Question Answering" (2020), whose script counts Chinese characters.
"""

from __future__ import annotations

import math
import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import Metric

__all__ = [
    "ANSWER_METRICS",
    "AnsweredQuestion",
    "best_threshold",
    "exact",
    "f1",
    "is_exactly_right",
    "normalized",
    "score_columns",
    "words",
]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHARACTER = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
"""Of Chinese and Japanese, which write no spaces between words."""

Words = Callable[[str], list[str]]


def words(answer: str) -> list[str]:
    """Return the words of an answer: lower case, without ASCII punctuation, a, an and the."""
    return _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split()


def words_and_characters(answer: str) -> list[str]:
    """Return the words of an answer, where each Chinese or Japanese character is a word.

    As `words`, but without punctuation of any script, as MLQA does it. An "a" next to a character
    is no article.
    """
    without_articles = _ARTICLES.sub(" ", answer.lower().translate(_all_punctuation()))
    return _CHARACTER.sub(r" \1 ", without_articles).split()


@cache
def _all_punctuation() -> dict[int, None]:
    """A table that deletes the characters of the categories P and those of ASCII."""
    signs = map(chr, range(sys.maxunicode + 1))
    deleted = dict.fromkeys(ord(one) for one in signs if unicodedata.category(one)[0] == "P")
    return deleted | dict.fromkeys(map(ord, string.punctuation))


def normalized(answer: str, words_of: Words = words) -> str:
    """Return an answer in the form in which exact answers are compared."""
    return " ".join(words_of(answer))


def exact(answer: str, golds: Iterable[str], words_of: Words = words) -> float:
    """Return 1 if an answer is one of the right ones up to normalization, else 0."""
    own = words_of(answer)
    return float(any(own == words_of(gold) for gold in golds))


def f1(answer: str, golds: Iterable[str], words_of: Words = words) -> float:
    """Return the largest F1 of the words that an answer shares with a right one.

    It is 2 · shared / (words of the answer + words of the right one). If one of them has no words,
    it is 1 if neither has any, else 0.
    """
    own = words_of(answer)
    return max((_shared(own, words_of(gold)) for gold in golds), default=0.0)


def _shared(own: Sequence[str], gold: Sequence[str]) -> float:
    if not own or not gold:
        return float(own == gold)
    return 2 * (Counter(own) & Counter(gold)).total() / (len(own) + len(gold))


class AnsweredQuestion(NamedTuple):
    """A question with its right answers and that of a model.

    Attributes:
        golds: the right answers, none if there is no answer in the context.
        answer: of the model, empty for none.
        best: the best answer of the model that is not empty.
        null_score: how much better no answer is than the best one; `answer` is empty above a
            threshold.
    """

    golds: Sequence[str]
    answer: str
    best: str = ""
    null_score: float = 0.0


_HAS_ANSWER, _NULL_SCORE = 4, 5
"""Columns: exact, f1, exact_cjk and f1_cjk of the answer, whether there is one, the null score;
then exact and f1 of the best answer that is not empty."""
_BEST = 6


def score_columns(rows: Iterable[AnsweredQuestion]) -> NDArray[np.float64]:
    """Return what the scores are computed from, shape (n, 8)."""
    columns = []
    for golds, answer, best, null_score in rows:
        # as the script of SQuAD 2.0: of "the", say, nothing is left
        texts = [gold for gold in golds if words(gold)] or [""]
        characters = [gold for gold in golds if words_and_characters(gold)] or [""]
        columns.append(
            (
                exact(answer, texts),
                f1(answer, texts),
                exact(answer, characters, words_and_characters),
                f1(answer, characters, words_and_characters),
                bool(golds),
                null_score,
                exact(best, texts),
                f1(best, texts),
            )
        )
    return np.array(columns, dtype=np.float64).reshape(len(columns), 8)


def is_exactly_right(columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which answers are right up to normalization, shape (n,)."""
    return np.asarray(columns[:, 2] > 0)


def best_threshold(columns: NDArray[Any], *, of_f1: bool = True) -> tuple[float, float]:
    """Return the highest score that a threshold of the null score reaches, and this threshold.

    Answers are empty above the threshold. The lowest of equally good ones is returned; it is below
    all null scores if no answer at all is best. Rows with equal null scores are answered together.

    Args:
        columns: of `score_columns`.
        of_f1: whether F1 is maximized, or exact answers.
    """
    if not len(columns):
        return math.nan, 0.0
    has_answer, scores = columns[:, _HAS_ANSWER], columns[:, _NULL_SCORE]
    order = np.argsort(scores, kind="stable")
    gains = (columns[:, _BEST + of_f1] - (1 - has_answer))[order]
    sums = np.append(0.0, np.cumsum(gains)) + (1 - has_answer).sum()
    ordered = scores[order]
    is_last = np.append(True, np.append(ordered[1:] > ordered[:-1], True))
    place = int(np.argmax(np.where(is_last, sums, -np.inf)))
    threshold = ordered[place - 1] if place else np.nextafter(ordered[0], -np.inf)
    return 100 * float(sums[place]) / len(columns), float(threshold)


def _mean(
    columns: NDArray[Any], _truth: NDArray[Any], _positive: int, *, of: int, answered: bool | None
) -> float:
    """The mean of a column, of all rows or of those that have an answer or have none."""
    values = columns[:, of]
    if answered is not None:
        values = values[(columns[:, _HAS_ANSWER] > 0) == answered]
    return 100 * float(values.mean()) if len(values) else math.nan


def _best(columns: NDArray[Any], _truth: NDArray[Any], _positive: int, *, of_f1: bool) -> float:
    return best_threshold(columns, of_f1=of_f1)[0]


ANSWER_METRICS: Mapping[str, Metric] = {
    name: Metric(name, (), function, by_example=True)
    for name, function in (
        ("exact", partial(_mean, of=0, answered=None)),
        ("f1", partial(_mean, of=1, answered=None)),
        ("exact_cjk", partial(_mean, of=2, answered=None)),
        ("f1_cjk", partial(_mean, of=3, answered=None)),
        ("HasAns_exact", partial(_mean, of=0, answered=True)),
        ("HasAns_f1", partial(_mean, of=1, answered=True)),
        ("NoAns_exact", partial(_mean, of=0, answered=False)),
        ("NoAns_f1", partial(_mean, of=1, answered=False)),
        ("best_exact", partial(_best, of_f1=False)),
        ("best_f1", partial(_best, of_f1=True)),
    )
}
"""From the columns; those of rows that do not occur are not a number."""
