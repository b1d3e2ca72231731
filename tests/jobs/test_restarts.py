from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import TunesmithError
from tunesmith.jobs.restarts import MOST, refuse_futile_restart


@settings(max_examples=50)
@given(st.lists(st.sampled_from([None, "step-00000004", "step-00000008"]), max_size=12))
def test_only_restarts_in_a_row_from_one_checkpoint_count(
    tmp_path_factory: pytest.TempPathFactory, checkpoints: list[str | None]
) -> None:
    folder = tmp_path_factory.mktemp("job")
    in_a_row = 0
    for before, now in pairwise([object(), *checkpoints]):
        in_a_row = in_a_row + 1 if now == before else 0
        name = now if isinstance(now, str) else None
        if in_a_row <= MOST:
            refuse_futile_restart(name, folder=folder)
            continue
        with pytest.raises(TunesmithError, match="C159") as caught:
            refuse_futile_restart(name, folder=folder)
        assert caught.value.exit_code == 1


def test_without_a_launcher_nothing_is_counted(tmp_path: Path) -> None:
    for _each in range(9):
        refuse_futile_restart(None)
        refuse_futile_restart("step-00000004", folder=tmp_path / "gone")
