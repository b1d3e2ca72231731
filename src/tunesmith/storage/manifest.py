"""Manifests: size and hash of every file of a folder, and what differs from them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tunesmith.i18n import gettext as _

__all__ = ["MANIFEST", "as_manifest", "damage", "recorded_hashes", "sha256_of"]

MANIFEST = "MANIFEST.json"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_manifest(entries: object) -> str:
    """Return the text of a manifest from the bytes and sha256 of each file."""
    return json.dumps({"files": entries}, indent=1) + "\n"


def damage(folder: Path) -> str | None:
    """Return what is wrong with a committed folder, or None if every byte is unchanged."""
    try:
        text, files = _read(folder / MANIFEST)
        entries = {name: (int(entry["bytes"]), entry["sha256"]) for name, entry in files.items()}
    except FileNotFoundError:
        return _("{file} is missing").format(file=MANIFEST)
    except _UNREADABLE:
        return _("{file} cannot be read").format(file=MANIFEST)
    if text != as_manifest(files):  # one bit in a space would otherwise go unseen
        return _("{file} does not have the content it was written with").format(file=MANIFEST)
    reasons = (_damage_of(folder / name, name, *entry) for name, entry in entries.items())
    return next((reason for reason in reasons if reason), None)


def recorded_hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file in a folder's manifest; empty without a valid manifest."""
    try:
        text, files = _read(folder / MANIFEST)
        hashes = {name: str(entry["sha256"]) for name, entry in files.items()}
    except _UNREADABLE:
        return {}
    return hashes if text == as_manifest(files) else {}


def _read(manifest: Path) -> tuple[str, Any]:
    """Return the text of a manifest, and its entries."""
    if manifest.exists() and not manifest.is_file():  # a pipe would be waited for
        raise ValueError("it is no file")
    text = manifest.read_text(encoding="utf-8")
    return text, json.loads(text)["files"]


_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""Errors from reading a manifest with any other content."""


def _damage_of(path: Path, name: str, size: int, digest: object) -> str | None:
    try:
        if not path.is_file():
            return _("{file} is missing").format(file=name)
        if path.stat().st_size != size:
            return _("{file} has {found} bytes and should have {wanted}").format(
                file=name, found=path.stat().st_size, wanted=size
            )
        if sha256_of(path) != digest:
            return _("{file} does not have the content it was written with").format(file=name)
    except (OSError, ValueError) as error:
        return _("{file} cannot be read: {reason}").format(file=name, reason=error)
    return None
