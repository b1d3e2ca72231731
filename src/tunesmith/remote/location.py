"""Addresses of remote run folders: `s3://BUCKET/PATH` and its kin, without secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import redact

__all__ = ["SCHEMES", "Location", "is_remote"]

SCHEMES = ("s3", "gs", "az", "file", "memory")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PART = re.compile(r"[^/\\?#@\s\x00-\x1f\x7f*\[\]{}]+")
"""A part of a path that every store takes as it is."""


def is_remote(text: str) -> bool:
    """Return whether a text is an address and not a path."""
    return _SCHEME.match(text) is not None


@dataclass(frozen=True, slots=True)
class Location:
    """Where a remote run folder is.

    Attributes:
        scheme: one of `SCHEMES`.
        bucket: bucket or container; empty for a folder of this machine.
        prefix: the path in it, without slashes at its ends.
    """

    scheme: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(part for part in (self.bucket, self.prefix) if part)}"

    @classmethod
    def read(cls, address: str) -> Location:
        """Read an address.

        Raises:
            RecipeError: it is none, holds a user, a password or a query, or names no folder (C160).
        """
        matched = _SCHEME.match(address)
        if matched is None:
            _refuse(address, _("an address has a scheme"))
        scheme = matched[1].lower()
        rest = address[matched.end() :]
        if scheme not in SCHEMES:
            _refuse(address, _('there is no store for "{scheme}"').format(scheme=scheme))
        if "@" in rest or "?" in rest or "#" in rest:
            _refuse(address, _("an address has no user, password, query or fragment"))
        root = "/" if scheme == "file" and rest.startswith("/") else ""
        parts = rest.strip("/").split("/")
        if any(part in (".", "..") or not _PART.fullmatch(part) for part in parts):
            _refuse(address, _("a part of its path is empty or holds a special character"))
        if scheme == "file":
            if not root and not re.fullmatch(r"[A-Za-z]:", parts[0]):
                _refuse(address, _("the path of a folder is absolute"))
            return cls(scheme, "", root + "/".join(parts))
        if len(parts) < 2:
            _refuse(address, _("it names no folder in the bucket"))
        return cls(scheme, parts[0], "/".join(parts[1:]))

    def below(self, name: str) -> Location:
        """Return the location of a folder in it."""
        return Location(self.scheme, self.bucket, f"{self.prefix}/{name}")


def _refuse(address: str, reason: str) -> NoReturn:
    """Raise the error of an address.

    Raises:
        RecipeError: always (C160).
    """
    shown = redact(re.sub(r"[?#].*", "?…", address, flags=re.DOTALL))
    shown = re.sub(r"//.*@", "//…@", shown, flags=re.DOTALL)
    raise RecipeError.of(
        "C160",
        _("no address of a remote folder: {reason}").format(reason=reason),
        Place(shown),
        fix=_("Write s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH.")
        + "\n"
        + _("Keys and tokens come from the environment or files of the store's own library."),
    )
