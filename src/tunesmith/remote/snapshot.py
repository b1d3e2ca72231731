"""What a remote run folder holds, and the manifest that makes it count.

    lease.json                              the one writer
    manifests/FENCE-SEQUENCE.json           a whole state of the run; the highest name is the newest
    objects/FENCE/SHA256                    content of files, by hash

A manifest is written last, names files with size and hash, and only objects of its own fence. A
writer that was replaced has a lower fence, so that whatever it still writes or deletes touches
neither the newest manifest nor what that one names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tunesmith.i18n import gettext as _

__all__ = [
    "MANIFESTS",
    "OBJECTS",
    "File",
    "Part",
    "Snapshot",
    "newest_first",
    "numbers_of",
    "object_key",
]

MANIFESTS, OBJECTS = "manifests/", "objects/"
_FORMAT = 1
_KEY = re.compile(r"manifests/(\d{8})-(\d{8})\.json")
_MOST_BYTES = 16 << 20
_OWN = re.compile(
    r"recipe\.yaml|plan\.json|events\.jsonl|rejected\.jsonl|report\.html"
    r"|(model|predictions|checkpoints)(/[\w][\w.+-]*)+"
)
"""Files of a run that are copied."""

Count = Annotated[int, Field(ge=0, le=10**15)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(TypedDict):
    sha256: Hash
    bytes: Count


class _File(TypedDict):
    sha256: Hash
    bytes: Count
    parts: list[_Part]


class _Manifest(TypedDict):
    format: int
    run: str
    step: Count
    finished: bool
    written: str
    by: str
    fingerprint: dict[str, Any]
    files: dict[str, _File]


@cache
def _checker() -> TypeAdapter[_Manifest]:
    return TypeAdapter(_Manifest)


@dataclass(frozen=True, slots=True)
class Part:
    """An object with a file or a part of it.

    Attributes:
        sha256: of its content, and its name.
        size: in bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of a run.

    Attributes:
        sha256: of its content.
        size: in bytes.
        parts: the objects that it is made of, in order.
    """

    sha256: str
    size: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole state of a run.

    Attributes:
        run: an id that all states of one run have.
        step: steps done.
        is_finished: whether it holds the finished model.
        written: when, as text.
        by: the machine.
        fingerprint: recipe, data, model and tokenizer, as plan.json has them.
        files: by path in the run folder.
        fence: of the writer.
        sequence: number among the manifests of this fence.
    """

    run: str
    step: int
    is_finished: bool
    written: str
    by: str
    fingerprint: Mapping[str, Any]
    files: Mapping[str, File]
    fence: int
    sequence: int

    @property
    def key(self) -> str:
        """The key of its manifest."""
        return f"{MANIFESTS}{self.fence:08d}-{self.sequence:08d}.json"

    @property
    def objects(self) -> set[str]:
        """The keys of all it names."""
        return {
            object_key(self.fence, part.sha256)
            for file in self.files.values()
            for part in file.parts
        }

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def as_bytes(self) -> bytes:
        """Return the content of the manifest."""
        facts = {
            "format": _FORMAT,
            "run": self.run,
            "step": self.step,
            "finished": self.is_finished,
            "written": self.written,
            "by": self.by,
            "fingerprint": self.fingerprint,
            "files": {
                name: {
                    "sha256": file.sha256,
                    "bytes": file.size,
                    "parts": [{"sha256": p.sha256, "bytes": p.size} for p in file.parts],
                }
                for name, file in self.files.items()
            },
        }
        return (json.dumps(facts, indent=1, ensure_ascii=True) + "\n").encode()

    @classmethod
    def read(cls, key: str, content: bytes) -> Snapshot:
        """Read a manifest.

        Raises:
            ValueError: it is damaged, or of a newer format.
        """
        numbers = numbers_of(key)
        if numbers is None or len(content) > _MOST_BYTES:
            raise ValueError(_("it is no manifest"))
        try:
            facts = _checker().validate_json(content, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(f"{place}: {first['msg']}") from None
        if facts["format"] != _FORMAT:
            raise ValueError(_("it is of format {number}").format(number=facts["format"]))
        files = {name: _file(name, entry) for name, entry in facts["files"].items()}
        return cls(
            facts["run"], facts["step"], facts["finished"], facts["written"], facts["by"],
            facts["fingerprint"], files, *numbers,
        )  # fmt: skip


def _file(name: str, entry: _File) -> File:
    if not _OWN.fullmatch(name):
        raise ValueError(_("a run has no such file: {name}").format(name=name[:80]))
    parts = tuple(Part(part["sha256"], part["bytes"]) for part in entry["parts"])
    if sum(part.size for part in parts) != entry["bytes"]:
        raise ValueError(_("the parts of {name} do not add up").format(name=name))
    return File(entry["sha256"], entry["bytes"], parts)


def object_key(fence: int, sha256: str) -> str:
    """Return the key of some content."""
    return f"{OBJECTS}{fence:08d}/{sha256}"


def numbers_of(key: str) -> tuple[int, int] | None:
    """Return fence and sequence of a manifest's key; None for another key."""
    matched = _KEY.fullmatch(key)
    return (int(matched[1]), int(matched[2])) if matched else None


def newest_first(keys: Iterable[str]) -> list[str]:
    """Return the keys of manifests, the newest first."""
    return sorted((key for key in keys if numbers_of(key)), reverse=True)
