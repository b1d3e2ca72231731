"""Whether a store does what one writer at a time needs, and how fast it takes bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from uuid import uuid4

from tunesmith.errors import Place, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.remote.snapshot import object_key
from tunesmith.remote.store import Store
from tunesmith.remote.store_errors import Conflict

__all__ = ["PROBES", "bytes_per_second", "refuse_without_conditions"]

PROBES = "probes/"
_TIMES = 2
"""A store behind several servers may honor a condition on one of them only."""
_BYTES = 4 << 20


def refuse_without_conditions(store: Store) -> None:
    """Write with conditions that must fail, and with those that must not.

    Raises:
        ResourceError: the store ignores conditions (C163), or cannot be used (C162).
    """
    for _time in range(_TIMES):
        key = f"{PROBES}{uuid4().hex}"
        try:
            failed = _failed(store, key)
        finally:
            store.delete(key)
        if failed:
            raise ResourceError.of(
                "C163",
                _("the store does not keep its promises: {reason}").format(reason=failed),
                Place(str(store.location)),
                fix=_(
                    "Two machines could overwrite each other's work there. Choose a store with "
                    "conditional writes (If-None-Match and If-Match), or a newer version of it."
                ),
            )


def _failed(store: Store, key: str) -> str | None:
    """Return what the store did not do as it should."""
    try:
        first = store.create(key, b"first")
    except Conflict:
        return _("it does not create an object that is not there")
    if _is_written(lambda: store.create(key, b"second")):
        return _("it creates an object that is there already")
    try:
        second = store.replace(key, b"third", first)
    except Conflict:
        return _("it does not replace the version that is there")
    if second == first or _is_written(lambda: store.replace(key, b"fourth", first)):
        return _("it replaces an object that is another version now")
    stored = store.read(key)
    if stored is None or (stored.content, stored.version) != (b"third", second):
        return _("it does not return what was written last")
    return None if key in store.keys(PROBES) else _("it does not list what was written")


def _is_written(write: Callable[[], str]) -> bool:
    try:
        write()
    except Conflict:
        return False
    return True


def bytes_per_second(store: Store, fence: int) -> float:
    """Return how fast the store takes an object of some megabytes.

    Args:
        store: of which this process is the owner.
        fence: of its lease; what a kill leaves is deleted with the next state.

    Raises:
        ResourceError: the store cannot be used (C162).
    """
    key = object_key(fence, uuid4().hex)
    content = os.urandom(_BYTES)
    started = time.perf_counter()
    try:
        store.write(key, content)
        return _BYTES / max(1e-9, time.perf_counter() - started)
    finally:
        store.delete(key)
