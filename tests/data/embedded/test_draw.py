from __future__ import annotations

from tunesmith.data.embedded.draw import Draw


def test_chance_is_the_same_on_every_machine() -> None:
    draw = Draw(3)
    drawn = (
        [draw.below(1000) for _n in range(3)],
        draw.shuffled(range(6)),
        draw.pick("abc", (1, 2, 9)),
    )
    assert drawn == ([237, 544, 369], [2, 1, 4, 0, 5, 3], "c")
