"""A Hub, or something on the way, that answers wrongly: what happens is an error with a code.

Whatever is sent, nothing that differs from its hash stays in the cache, nothing is written outside
of it, and a true answer afterwards is taken.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_tiny_bert
from tests.faults import Case
from tests.hub_server import Answer, Hub, Repository, etag, git_hash, serve

NAME = "owner/bert"
PASSWORD = "s3cretWord"
Tamper = Callable[[str, str], Answer | None]


@cache
def _files() -> dict[str, bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        bert = make_tiny_bert(Path(folder) / "bert", layers=1)
        return {path.name: path.read_bytes() for path in bert.iterdir()}


@contextmanager
def _hub(folder: Path, **constants: object) -> Iterator[Hub]:
    """The client in this process, sent to a stand-in with an empty cache."""
    from huggingface_hub import constants as client
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import disable_progress_bars

    from tunesmith.storage import downloads, hub

    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch, serve() as server:
        server.repositories["model", NAME] = Repository("model", NAME, dict(_files()))
        settings = {
            "ENDPOINT": server.url,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_CACHE": str(folder / "cache"),
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_DOWNLOAD_TIMEOUT": 2,
            "HF_HUB_ETAG_TIMEOUT": 2,
            **constants,
        }
        for name, value in settings.items():
            patch.setattr(client, name, value)
        patch.setattr(hub, "RETRY_SECONDS", (0.01, 0.01))
        patch.setattr(time, "sleep", lambda _seconds, real=time.sleep: real(min(_seconds, 0.02)))
        patch.setattr(downloads, "SLOW_SECONDS", 1.0)
        patch.setattr(downloads, "MOST_BYTES", 300_000)
        downloads.limit_responses.cache_clear()
        downloads.limit_responses()
        try:
            yield server
        finally:
            from huggingface_hub.utils._http import default_client_factory

            set_client_factory(default_client_factory)
            downloads.limit_responses.cache_clear()


def _locate() -> str:
    """The code of the error, or "found"."""
    from tunesmith.errors import TunesmithError
    from tunesmith.models import locate

    try:
        files = locate(NAME)
    except TunesmithError as error:
        (problem,) = error.problems
        assert PASSWORD not in str(error) and PASSWORD not in str(problem.as_json())
        assert problem.fix, "says what to do"
        return problem.code
    truth = {name: hashlib.sha256(content).hexdigest() for name, content in _files().items()}
    assert files.fingerprint() == truth
    return "found"


def _tampered(folder: Path, tamper: Tamper, codes: tuple[str, ...]) -> str:
    from tunesmith.storage import downloads

    with _hub(folder) as server:
        server.answer = tamper
        code = _locate()
        assert code in codes, code
        for path in folder.rglob("*"):
            assert path.relative_to(folder).parts[0] == "cache", path
            assert not path.name.endswith(".incomplete"), path
            if path.is_file() and not path.is_symlink() and path.parent.name == "blobs":
                assert path.read_bytes() in _files().values(), f"{path} is not a file of the model"
        server.answer = None
        if find_spec("huggingface_hub._tree_cache"):  # of newer clients; the next process has none
            import_module("huggingface_hub._tree_cache")._IN_MEMORY_TREE_CACHE.clear()
        downloads.SLOW_SECONDS = 60.0  # a busy machine may be slow; `_hub` sets it back
        assert (after := _locate()) == "found", f"true answers afterwards: {after}"
    return code


def _at(*parts: str, command: str = "") -> Callable[[str, str], bool]:
    return lambda verb, path: all(part in path for part in parts) and command in ("", verb)


def INFO(_verb: str, path: str) -> bool:
    return path == "/api/models/owner/bert" or "/bert/revision/" in path


TREE = _at("/api/models/owner/bert/tree")
WEIGHTS = _at("/resolve/", "model.safetensors")
CONFIG = _at("/resolve/", "/config.json")


def _instead(where: Callable[[str, str], bool], answer: Answer) -> Tamper:
    return lambda verb, path: answer if where(verb, path) else None


def _file(name: str, **changes: Any) -> Answer:
    content = _files()[name]
    headers: dict[str, str | None] = {
        "ETag": f'"{etag(name, content)}"',
        "X-Repo-Commit": Repository("model", NAME, _files()).commit,
        **changes.pop("headers", {}),
    }
    return replace(Answer(content, headers=headers), **changes)


def _flipped(name: str) -> bytes:
    content = bytearray(_files()[name])
    content[len(content) // 2] ^= 4
    return bytes(content)


def _info(**changes: object) -> Answer:
    facts: dict[str, object] = {
        "id": NAME, "sha": "0" * 40, "siblings": [{"rfilename": n} for n in _files()], "tags": [],
        **changes,
    }  # fmt: skip
    return Answer(json.dumps(facts).encode())


def _tree(*entries: dict[str, object]) -> Answer:
    return Answer(json.dumps(list(entries)).encode())


def _entry(**changes: object) -> dict[str, object]:
    content = _files()["config.json"]
    return {
        "type": "file", "path": "config.json", "size": len(content), "oid": git_hash(content),
        **changes,
    }  # fmt: skip


HTML = b"<!doctype html><title>Sign in</title><p>Please accept the terms of this network"
NONSENSE: dict[str, bytes] = {
    "HTML": HTML,
    "nothing": b"",
    "a JSON list": b"[]",
    "a JSON number": b"5",
    "null": b"null",
    "an empty object": b"{}",
    "half of JSON": b'{"id": "owner/bert", "sh',
    "bytes": bytes(range(256)),
    "deep JSON": b"[" * 100_000,
    "longer than any": b'{"id": "' + b"x" * 400_000 + b'"}',
}
STATUSES: dict[int, tuple[str, ...]] = {
    400: ("M104",), 401: ("M107",), 403: ("M106",), 404: ("M107",), 410: ("M104",),
    418: ("M104",), 429: ("M104",), 500: ("M104",), 502: ("M104",), 503: ("M104",), 504: ("M104",),
}  # fmt: skip


def _tampers() -> Iterator[tuple[str, Callable[[], Tamper], tuple[str, ...]]]:
    """Name, what is answered (made late, as it needs the files), and the codes that are right."""
    for kind, body in NONSENSE.items():
        yield f"the model's page is {kind}", lambda b=body: _instead(INFO, Answer(b)), ("M104",)
    for kind in ("HTML", "a JSON number", "half of JSON", "longer than any", "deep JSON"):
        body = NONSENSE[kind]
        yield f"the list of files is {kind}", lambda b=body: _instead(TREE, Answer(b)), ("M104",)
    for value in (None, "", 5, [], {}, "main", "../../../../outside", "0" * 39, "Z" * 40):
        yield (
            f"the commit is {json.dumps(value)}",
            lambda v=value: _instead(INFO, _info(sha=v)),
            ("M104",),
        )
    for status, codes in STATUSES.items():
        yield f"the page answers {status}", lambda s=status: _instead(INFO, Answer(b"{}", s)), codes
    for status in (403, 404, 500):
        yield (
            f"the weights answer {status}",
            lambda s=status: _instead(WEIGHTS, Answer(b"", s)),
            ("M104", "M106", "M107", "M101"),
        )
    odd = {"null": None, "a number": 5, "a list": [], "absolute": "/etc/passwd"}
    odd |= {"above": "../../outside.json", "above by backslashes": "..\\outside.json"}
    for kind, name in odd.items():
        yield (
            f"the list of files has a name that is {kind}",
            lambda n=name: _instead(TREE, _tree(_entry(), _entry(path=n))),
            ("M104", "M101"),
        )
    yield (
        "the list of files names files that are not there",
        lambda: _instead(TREE, _tree(*(_entry(path=f"{i}.json") for i in range(500)))),
        ("M104",),
    )
    yield (
        "a size is 1e15",
        lambda: _instead(TREE, _tree(_entry(size=10**15, lfs={"oid": "0" * 64, "size": 10**15}))),
        ("M104", "M101"),
    )
    for name, where in (("config.json", CONFIG), ("model.safetensors", WEIGHTS)):
        yield (
            f"{name} has one bit flipped",
            lambda n=name, w=where: _instead(w, _file(n, body=_flipped(n))),
            ("M103",),
        )
        yield (
            f"{name} has the hash of another file",
            lambda n=name, w=where: _instead(
                w, _file(n, headers={"ETag": f'"{etag(n, _flipped(n))}"'})
            ),
            ("M103",),
        )
        yield (
            f"{name} is cut, and its length says so",
            lambda n=name, w=where: _instead(w, _file(n, body=_files()[n][:-9])),
            ("M103",),
        )
        yield (
            f"{name} is shorter than its length",
            lambda n=name, w=where: _instead(
                w,
                _file(n, body=_files()[n][:-9], headers={"Content-Length": str(len(_files()[n]))}),
            ),
            ("M104",),
        )
        yield (
            f"{name} is longer than was announced",
            lambda n=name, w=where: (
                lambda verb, path: (
                    _file(n, body=_files()[n] + b"more" * 9 * (verb == "GET"))
                    if w(verb, path)
                    else None
                )
            ),
            ("M104", "M103"),
        )
        yield (
            f"{name} has no ETag",
            lambda n=name, w=where: _instead(w, _file(n, headers={"ETag": None})),
            ("M104",),
        )
        yield (
            f"{name} is a page of HTML",
            lambda w=where: _instead(w, Answer(HTML, headers={"Content-Type": "text/html"})),
            ("M104",),
        )
        yield (
            f"{name} comes a byte at a time",
            lambda n=name, w=where: (
                lambda verb, path: _file(n, pause=0.01) if w(verb, path) and verb == "GET" else None
            ),
            ("M104",),
        )
        yield (
            f"{name} is of another commit",
            lambda n=name, w=where: _instead(w, _file(n, headers={"X-Repo-Commit": "0" * 40})),
            ("M104", "M101", "M109"),
        )
    yield (
        "a page comes a byte at a time",
        lambda: _instead(INFO, Answer(b"x" * 1000, pause=0.01)),
        ("M104",),
    )
    yield (
        "a redirect that never ends",
        lambda: (
            lambda verb, path: (
                Answer(b"", 302, {"Location": path + "x"}) if "/api/" in path else None
            )
        ),
        ("M104",),
    )
    yield (
        "a redirect to itself",
        lambda: (
            lambda verb, path: Answer(b"", 302, {"Location": path}) if WEIGHTS(verb, path) else None
        ),
        ("M104",),
    )
    for kind, address in (
        ("another host that is not there", "http://127.0.0.1:9/x"),
        ("a file of this machine", "file:///etc/passwd"),
        ("nonsense", "http://[::1"),
        ("an address with a password", f"http://user:{PASSWORD}@127.0.0.1:9/x"),
    ):
        yield (
            f"a redirect to {kind}",
            lambda a=address: _instead(INFO, Answer(b"", 302, {"Location": a})),
            ("M104",),
        )


def _endpoint_case(address: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        with _hub(folder, ENDPOINT=address, HUGGINGFACE_CO_URL_TEMPLATE=template):
            code = _locate()
            assert code == "M104"
        return code

    return run


def _damaged_cache(folder: Path) -> str:
    with _hub(folder) as server:
        assert _locate() == "found"
        (weights,) = (folder / "cache").rglob("snapshots/*/model.safetensors")
        weights.resolve().write_bytes(_flipped("model.safetensors"))
        assert _locate() == "M103"
        assert _locate() == "found"
        assert server.requests
    return "M103, then fetched again"


def _gone_offline(folder: Path) -> str:
    with _hub(folder) as server:
        assert _locate() == "found"
        server.answer = lambda _verb, _path: Answer(b"", 503)
        assert _locate() == "found"
    return "from the cache"


def cases() -> list[Case]:
    quick = {
        "config.json has one bit flipped", "the model's page is HTML", "the commit is null",
        "a redirect to an address with a password", "model.safetensors has no ETag",
    }  # fmt: skip
    cases_ = [
        Case(
            name,
            lambda folder, make=make, codes=codes: _tampered(folder, make(), codes),
            is_quick=name in quick,
        )
        for name, make, codes in _tampers()
    ]
    addresses = {
        "with a password": f"http://user:{PASSWORD}@127.0.0.1:9",
        "with signs in its password": f"http://user:{PASSWORD}@@/x@127.0.0.1:9",
        "that is no address": "nowhere",
        "without a host": "http://",
        "with half an address": "http://[::1",
        "of another protocol": "ftp://127.0.0.1",
    }
    cases_ += [Case(f"HF_ENDPOINT {k}", _endpoint_case(a)) for k, a in addresses.items()]
    cases_.append(Case("the cache is damaged", _damaged_cache, is_quick=True))
    cases_.append(Case("the Hub is gone, and the cache is whole", _gone_offline))
    return cases_
