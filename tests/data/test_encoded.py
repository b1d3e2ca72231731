from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.encoded import Ragged


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6), st.data())
def test_sequences_are_indexed_as_an_array(lists: list[list[int]], data: st.DataObject) -> None:
    lengths = np.array([len(each) for each in lists], dtype=np.int64)
    ragged = Ragged(np.array([n for each in lists for n in each], dtype=np.int64), lengths)
    index = st.lists(st.integers(0, len(lists) - 1), max_size=5) if lists else st.just([])
    chosen = data.draw(index)
    mask = np.array([i in chosen for i in range(len(lists))], dtype=np.bool_)
    assert len(ragged) == len(lists)
    result = [each.tolist() for each in ragged[np.array(chosen, dtype=np.int64)].split()]
    assert result == [lists[i] for i in chosen]
    assert [each.tolist() for each in ragged[mask].split()] == [
        each for i, each in enumerate(lists) if i in chosen
    ]
    assert [each.tolist() for each in ragged[1:3].split()] == lists[1:3]
