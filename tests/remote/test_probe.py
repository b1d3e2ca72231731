"""Stores that ignore conditions are refused."""

from __future__ import annotations

import pytest

from tests.remote.disloyal import Careless
from tunesmith.errors import ResourceError
from tunesmith.remote.probe import bytes_per_second, refuse_without_conditions
from tunesmith.remote.store import Store


def test_a_loyal_store_passes_and_nothing_is_left(store: Store) -> None:
    refuse_without_conditions(store)
    assert bytes_per_second(store, 1) > 0
    assert store.keys("") == []


@pytest.mark.parametrize(("create", "replace"), [(True, True), (True, False), (False, True)])
def test_one_that_ignores_a_condition_is_refused(
    create: bool, replace: bool, memory: Store
) -> None:
    with pytest.raises(ResourceError, match="C163"):
        refuse_without_conditions(Careless(memory, create=create, replace=replace))
    assert memory.keys("") == [], "the probe is deleted all the same"


def test_one_that_ignores_conditions_at_times_is_refused(memory: Store) -> None:
    class Sometimes(Careless):
        count = 0

        def _create(self, key: str, content: bytes) -> str:
            self.count += 1
            self.ignores_create = self.count == 4
            return super()._create(key, content)

    with pytest.raises(ResourceError, match="C163"):
        refuse_without_conditions(Sometimes(memory, create=False, replace=False))
