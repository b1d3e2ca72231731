"""Stores for tests: memory, a folder, and S3 as moto serves it on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.remote.servers import s3_server
from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store
from tunesmith.remote.store import Store


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """A bucket of a server for this session; the environment points there."""
    with s3_server("tests") as bucket:
        yield bucket


@pytest.fixture(
    params=["memory", "file", pytest.param("s3", marks=pytest.mark.slow)],
)
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes stores of one kind, each of another folder."""
    kind: str = request.param
    if kind == "s3":
        bucket = request.getfixturevalue("s3_bucket")

    def make() -> Store:
        name = uuid4().hex
        place = {"memory": f"tests/{name}", "file": f"{tmp_path}/{name}"}.get(kind)
        return open_store(Location.read(f"{kind}://{place or f'{bucket}/{name}'}"))

    return make


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    """An empty store."""
    return new_store()


@pytest.fixture
def memory() -> Store:
    """An empty store in memory."""
    return open_store(Location.read(f"memory://tests/{uuid4().hex}"))
