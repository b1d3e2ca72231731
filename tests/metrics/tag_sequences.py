"""Random sequences of tags, of which seqeval 1.2.2 computed the scores in `test_entities`."""

from __future__ import annotations

import random

TYPES = ("PER", "LOC", "ORG")

Sequences = list[list[str]]


def drawn(draw: random.Random, count: int) -> list[str]:
    return draw.choices(
        ["O", "O", "O", *(f"{mark}-{name}" for mark in "BI" for name in TYPES)], k=count
    )


def batch(seed: int) -> tuple[Sequences, Sequences]:
    """50 sequences of legal tags, and the same with some replaced, which may be illegal."""
    draw = random.Random(seed)
    truth = [_legal(drawn(draw, draw.randint(1, 12))) for _ in range(50)]
    predicted = [
        [
            other if draw.random() < 0.4 else tag
            for tag, other in zip(tags, drawn(draw, len(tags)), strict=True)
        ]
        for tags in truth
    ]
    return truth, predicted


def _legal(tags: list[str]) -> list[str]:
    """Tags that begin each entity with B-."""
    legal: list[str] = []
    before = "O"
    for tag in tags:
        is_inside = tag[:1] == "I" and before[2:] == tag[2:]
        legal.append(tag if tag == "O" or is_inside else f"B-{tag[2:]}")
        before = legal[-1]
    return legal
