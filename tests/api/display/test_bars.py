from __future__ import annotations

import io

from rich.console import Console

from tunesmith.api.display.bars import rich_bar
from tunesmith.api.display.terminal import Terminal


def test_a_bar_shows_how_far_it_is_and_leaves_nothing_but_lines() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    with rich_bar(console, 20) as bar:
        bar.update(5, epoch="epoch 0.25", rate="0.10 s/it", words="loss 0.5")
        bar.print("a line [bold] that stays")
    drawn = out.getvalue()
    for words in ("epoch 0.25", "5/20", "0.10 s/it", "loss 0.5", "a line"):
        assert words in drawn
    assert drawn.endswith("\x1b[2K")


def test_where_nothing_can_be_redrawn_there_is_none() -> None:
    with Terminal(is_quiet=True).bar(10) as bar:
        assert bar is None
