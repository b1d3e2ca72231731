"""From a location to the store behind it."""

from __future__ import annotations

from tunesmith.remote.location import Location
from tunesmith.remote.store import Store
from tunesmith.remote.store_errors import missing_library, reported

__all__ = ["open_store"]


def open_store(location: Location) -> Store:
    """Return the store of a location; nothing is written yet.

    Raises:
        ResourceError: its library is not installed (C161), or the store cannot be used (C162).
    """
    if location.scheme == "file":
        from tunesmith.remote.local_stores import FolderStore

        return FolderStore(location)
    if location.scheme == "memory":
        from tunesmith.remote.local_stores import MemoryStore

        return MemoryStore(location)
    try:
        with reported(location):
            return _in_the_cloud(location)
    except ImportError:
        raise missing_library(location) from None


def _in_the_cloud(location: Location) -> Store:
    try:
        if location.scheme == "s3":
            from tunesmith.remote.s3_store import S3Store

            return S3Store(location)
        if location.scheme == "gs":
            from tunesmith.remote.gcs_store import GcsStore

            return GcsStore(location)
        from tunesmith.remote.azure_store import AzureStore

        return AzureStore(location)
    except ImportError:
        raise missing_library(location) from None
