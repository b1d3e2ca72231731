"""Coverage: how often the 95 % interval of a score holds the score on all rows there could be.

    python benchmarks/interval_coverage.py --trials 1000

Each trial draws new rows, their labels among them, and what a model answers to them. A draw that
lacks a class altogether is drawn again: there its F1 is not defined. Two models in a pair make some
of their mistakes on the same rows.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import facts
from numpy.typing import NDArray

from tunesmith.metrics.counts import CountedUnits, score_of
from tunesmith.metrics.differences import difference
from tunesmith.metrics.scores import METRICS, Answers, Interval
from tunesmith.metrics.uncertainty import intervals

ROWS = (30, 60, 150, 500, 2000)
Column = NDArray[Any]
Draw = Callable[[np.random.Generator, int], tuple[Column, ...] | None]


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        score: by its name in `METRICS`, or "loss".
        about: the rows and the model.
        goal: the score on all rows, or the difference of two models.
        draw: rows: labels and answers of one model or two; None for a draw that lacks a class.
    """

    score: str
    about: str
    goal: float
    draw: Draw

    def interval(self, columns: Sequence[Column]) -> Interval | None:
        """The interval from one draw."""
        if self.score == "loss":
            nothing = np.zeros(len(columns[0]), dtype=np.int64)
            return intervals(Answers((), nothing, nothing, losses=columns[0])).get("loss")
        truth, *models = columns
        answers = [Answers([METRICS[self.score]], predicted, truth) for predicted in models]
        if len(answers) == 1:
            return intervals(answers[0]).get(self.score)
        paired = difference(*answers).get(self.score)
        return paired.interval if paired else None


def exact(score: str, table: NDArray[np.float64]) -> float:
    """A score from the probabilities of (label, answer), (C, C)."""
    truth, predicted = (part.ravel() for part in np.indices(table.shape))
    return score_of(score, CountedUnits.of(truth, predicted).count(table.ravel()), 1)[0]


def confusions(shares: Sequence[float], right: Sequence[float]) -> NDArray[np.float64]:
    """How probable each answer is for each label, (C, C): mistakes go to all other classes."""
    table = np.empty((len(shares), len(shares)))
    for label, rate in enumerate(right):
        table[label] = (1 - rate) / (len(shares) - 1)
        table[label, label] = rate
    return table


def classes(score: str, about: str, shares: Sequence[float], *right: Sequence[float],
            common: float = 0.0) -> Case:  # fmt: skip
    """Classes by their shares, and for one model or two how often each class is right.

    Args:
        score: of the case.
        about: of the case.
        shares: of the classes.
        right: for each model the rate of each class.
        common: of two models, the fraction of rows on which both are right or wrong by one chance.
    """
    tables = [confusions(shares, rates) for rates in right]
    goals = [exact(score, np.array(shares)[:, None] * table) for table in tables]

    def draw(random: np.random.Generator, rows: int) -> tuple[Column, ...] | None:
        truth = random.choice(len(shares), rows, p=shares)
        if score != "accuracy" and len(np.unique(truth)) < len(shares):
            return None
        same = random.random(rows) < common
        chance, answers = random.random(rows), []
        for table in tables:
            own = np.where(same, chance, random.random(rows))
            answers.append((own[:, None] > _right_first(table, truth)).sum(axis=1))
        return (truth, *(_answer(truth, place, len(shares)) for place in answers))

    goal = goals[0] if len(goals) == 1 else goals[1] - goals[0]
    return Case(score, about, goal, draw)


def _right_first(table: NDArray[np.float64], truth: Column) -> NDArray[np.float64]:
    """Borders of chance for each row: the right answer first, then the others in turn."""
    width = len(table)
    order = (truth[:, None] + np.arange(width)) % width
    return table[truth[:, None], order].cumsum(axis=1)[:, :-1]


def _answer(truth: Column, place: Column, width: int) -> Column:
    return (truth + place) % width


def pearson(rho: float, about: str, shape: Callable[[Column], Column]) -> Case:
    """Two columns made from normal ones; the goal is measured on four million rows."""

    def pair(random: np.random.Generator, rows: int) -> tuple[Column, ...]:
        truth = random.normal(size=rows)
        other = rho * truth + math.sqrt(1 - rho**2) * random.normal(size=rows)
        return shape(truth), other

    many = pair(np.random.default_rng(1), 4_000_000)
    return Case("pearson", f"{about}, {rho}", float(np.corrcoef(*many)[0, 1]), pair)


def losses(about: str, easy: float) -> Case:
    """Cross-entropies of a model that is sure of most rows and now and then wrong."""

    def draw(random: np.random.Generator, rows: int) -> tuple[Column, ...]:
        return (np.log1p(np.exp(-random.normal(easy, 2.2, rows))),)

    goal = float(draw(np.random.default_rng(1), 4_000_000)[0].mean())
    return Case("loss", about, goal, draw)


def stars(column: Column) -> Column:
    """Ratings from 0 to 5."""
    rounded: Column = np.clip(np.round(1.3 * column + 2.5), 0, 5)
    return rounded


EVEN, SKEWED = (1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05)
SIX = (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)


def harder(rate: float, shares: Sequence[float]) -> list[float]:
    """Rates of classes of which the rare ones are harder; of equal ones the same."""
    top = max(shares)
    return [rate + (1 - rate) * 0.5 * (2 * share / top - 1) * (len(set(shares)) > 1)
            for share in shares]  # fmt: skip


def cases() -> Iterator[Case]:
    """All lines."""
    for rate in (0.5, 0.7, 0.9, 0.95, 0.99):
        yield classes("accuracy", f"3 even classes, {rate}", EVEN, [rate] * 3)
    yield classes("accuracy", "3 skewed classes, 0.9", SKEWED, harder(0.9, SKEWED))
    for share in (0.5, 0.1):
        for rate in (0.6, 0.9, 0.97):
            right = [1 - (1 - rate) * share / (1 - share), rate]
            yield classes("f1", f"{share:.0%} positive, {rate}", (1 - share, share), right)
    for name, shares in (("3 even", EVEN), ("3 skewed", SKEWED), ("6 skewed", SIX)):
        for rate in (0.5, 0.7, 0.9, 0.97):
            about = f"{name} classes, {rate}"
            yield classes("f1_macro", about, shares, harder(rate, shares))
    for rate in (0.6, 0.9):
        yield classes("matthews_correlation", f"3 skewed classes, {rate}", SKEWED,
                      harder(rate, SKEWED))  # fmt: skip
    for rho in (0.2, 0.5, 0.8, 0.95):
        yield pearson(rho, "normal", lambda column: column)
    for rho in (0.5, 0.9):
        yield pearson(rho, "ratings", stars)
    yield losses("mostly small", 3.0)
    for score in ("accuracy", "f1_macro"):
        for name, shares in (("even", EVEN), ("skewed", SKEWED)):
            for one, two, common in ((0.7, 0.7, 0.5), (0.8, 0.9, 0.5), (0.6, 0.9, 0.0),
                                     (0.95, 0.98, 0.3), (0.9, 0.9, 0.9)):  # fmt: skip
                about = f"pair, 3 {name} classes, {one} and {two}, {common:.0%} common"
                rates = [harder(rate, shares) for rate in (one, two)]
                yield classes(score, about, shares, *rates, common=common)


def measure(case: Case, rows: int, trials: int) -> dict[str, float]:
    """The fraction of intervals that hold the goal, their mean width, and the mean time."""
    random = np.random.default_rng([rows, trials])
    held = width = seconds = 0.0
    counted = missing = 0
    while counted + missing < trials:
        columns = case.draw(random, rows)
        if columns is None:
            missing += 1
            continue
        started = time.perf_counter()
        interval = case.interval(columns)
        seconds += time.perf_counter() - started
        counted += 1
        if interval is not None:
            held += case.goal in interval
            width += interval.high - interval.low
    return {
        "coverage": round(held / counted, 4),
        "width": round(width / counted, 4),
        "trials": counted,
        "milliseconds": round(1000 * seconds / counted, 3),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--score", default="", help="only these")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/interval_coverage.json")
    )
    options = parser.parse_args()
    lines = []
    for case in cases():
        if options.score and not f"{case.score} {case.about}".startswith(options.score):
            continue
        results = {str(rows): measure(case, rows, options.trials) for rows in ROWS}
        lines.append({"score": case.score, "about": case.about,
                      "goal": round(case.goal, 4), "rows": results})  # fmt: skip
        shown = "  ".join(
            f"{rows} {interval['coverage']:.3f}" for rows, interval in results.items()
        )
        print(f"{case.score:<21} {case.about:<58} {case.goal:6.3f}  {shown}", flush=True)
    result = {"machine": facts(), "trials": options.trials, "cases": lines}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
