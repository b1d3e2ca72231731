"""The lessons of the quickstart, on a few rows and for a few steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tunesmith.api import quickstart
from tunesmith.data import embedded

ROWS, STEPS = 64, 2


@pytest.fixture
def short_lessons() -> Iterator[None]:
    """The same lessons, of the first rows of each split and ended after two steps."""
    all_rows = embedded._rows
    lessons = {
        name: replace(lesson, settings={**lesson.settings, "train.max_steps": STEPS})
        for name, lesson in quickstart.LESSONS.items()
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quickstart, "LESSONS", lessons)
        patched.setattr(
            embedded,
            "_rows",
            lambda name: {split: rows[:ROWS] for split, rows in all_rows(name).items()},
        )
        yield
