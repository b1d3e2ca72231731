from __future__ import annotations

from string import Formatter

import pytest

from tunesmith.data.embedded.frames import FRAMES, Frame
from tunesmith.data.embedded.words import LANGUAGES


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: "-".join(frame.slots))
def test_every_pattern_says_every_slot(frame: Frame) -> None:
    """Else a distorted fact could sound like the true one."""
    for patterns in (frame.yes, frame.no or {}):
        for language, ways in patterns.items():
            assert language in LANGUAGES
            assert len(ways) >= 3
            for pattern in ways:
                named = {slot for _words, slot, _form, _rest in Formatter().parse(pattern) if slot}
                assert named == set(frame.slots), pattern
    if frame.swaps:
        first, second = frame.swaps
        assert frame.slots[first] == frame.slots[second]
