"""A small stand-in for the Hugging Face Hub on 127.0.0.1, enough for the real client to talk to.

It serves repositories from memory: information, file lists and file contents with the headers that
the client checks. Faults are planted per path: a status for the next so many requests, or a token
to ask for.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Repository:
    kind: str  # "model" or "dataset"
    name: str  # owner/name
    files: dict[str, bytes]
    private: bool = False

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path in sorted(self.files):
            digest.update(path.encode() + self.files[path])
        return digest.hexdigest()


@dataclass
class Answer:
    """What is sent instead of the true answer.

    Attributes:
        body: as it is sent.
        status: of the answer.
        headers: added to Content-Type and Content-Length, or replacing them; None leaves one out.
        pause: seconds before each byte of the body.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str | None] = field(default_factory=dict)
    pause: float = 0.0


@dataclass
class Hub:
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # statuses for the next requests
    token: str = "hf_standInTokenForTests"
    url: str = ""
    answer: Callable[[str, str], Answer | None] | None = None  # by command and path, if not None

    def add(self, kind: str, name: str, folder: Path, *, private: bool = False) -> Repository:
        files = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*")
            if p.is_file()
        }
        repository = Repository(kind, name, files, private)
        self.repositories[kind, name] = repository
        return repository


LARGE = (".safetensors", ".parquet", ".bin")
"""Files that the Hub keeps apart, under their sha256; others have git's hash."""


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def etag(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if path.endswith(LARGE) else git_hash(content)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        url = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.hub.answer and (planted := self.hub.answer(self.command, url.path)) is not None:
            return self._send_planted(planted)
        if self.hub.failures:
            return self._send(self.hub.failures.pop(0), {"error": "planted"})
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            kind = parts[1][:-1]
            if len(parts) == 2:
                return self._search(kind, parse_qs(url.query))
            return self._api(kind, parts[2:], body, parse_qs(url.query))
        kind = "dataset" if parts[0] == "datasets" else "model"
        parts = parts[1:] if kind == "dataset" else parts
        if "resolve" in parts:
            at = parts.index("resolve")
            return self._file("/".join(parts[:at]), kind, parts[at + 1], "/".join(parts[at + 2 :]))
        return self._send(404, {"error": "Not Found"})

    def _search(self, kind: str, query: dict[str, list[str]]) -> None:
        word = query.get("search", [""])[0].lower()
        matches = [
            {"id": name, "modelId": name}
            for (its_kind, name) in self.hub.repositories
            if its_kind == kind and word in name.lower()
        ]
        self._send(200, matches)

    def _find(self, kind: str, name: str) -> Repository | None:
        repository = self.hub.repositories.get((kind, name))
        if repository is None:
            self._send(
                401 if "Authorization" not in self.headers else 404,
                {"error": "Repository not found"},
                {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
            )
        elif repository.private and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._send(
                401,
                {"error": "Access to this repository is restricted"},
                {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."},
            )
        else:
            return repository
        return None

    def _api(self, kind: str, parts: list[str], body: bytes, query: dict[str, list[str]]) -> None:
        verbs = ("revision", "tree", "paths-info", "xet-read-token")
        at = next((i for i, part in enumerate(parts) if part in verbs), len(parts))
        name = "/".join(parts[:at])
        repository = self._find(kind, name)
        if repository is None:
            return None
        verb = parts[at] if at < len(parts) else "info"
        revision = parts[at + 1] if at + 1 < len(parts) else "main"
        if revision not in ("main", repository.commit, "refs/convert/parquet"):
            return self._send(
                404,
                {"error": f"Invalid rev id: {revision}"},
                {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"},
            )
        if verb in ("info", "revision"):
            return self._send(
                200,
                {
                    "id": name,
                    "sha": repository.commit,
                    "private": repository.private,
                    "tags": [],
                    "siblings": [{"rfilename": path} for path in sorted(repository.files)],
                    "lastModified": "2026-01-01T00:00:00.000Z",
                },
            )
        if verb == "tree":
            folder = "/".join(parts[at + 2 :])
            return self._send(
                200, self._tree(repository, folder, query.get("recursive") == ["true"])
            )
        if verb == "paths-info":
            word = (
                json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
            )
            return self._send(
                200, [self._entry(repository, path) for path in word if path in repository.files]
            )
        return self._send(404, {"error": "Not Found"})

    def _entry(self, repository: Repository, path: str) -> dict[str, object]:
        content = repository.files[path]
        entry = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
        if path.endswith(LARGE):
            large = {"oid": etag(path, content), "size": len(content), "pointerSize": 134}
            entry["lfs"] = large
        return entry

    def _tree(
        self, repository: Repository, folder: str, recursive: bool
    ) -> list[dict[str, object]]:
        prefix = folder + "/" if folder else ""
        entries: dict[str, dict[str, object]] = {}
        for path in sorted(repository.files):
            if not path.startswith(prefix):
                continue
            rest = path[len(prefix) :]
            if "/" in rest and not recursive:
                inner = prefix + rest.split("/")[0]
                entries[inner] = {"type": "directory", "path": inner, "size": 0, "oid": "0" * 40}
            else:
                entries[path] = self._entry(repository, path)
        return list(entries.values())

    def _file(self, name: str, kind: str, revision: str, path: str) -> None:
        repository = self._find(kind, name)
        if repository is None:
            return
        content = repository.files.get(path)
        if revision not in ("main", repository.commit) or content is None:
            code = "EntryNotFound" if content is None else "RevisionNotFound"
            self._send(404, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})
            return
        headers = {
            "ETag": f'"{etag(path, content)}"',
            "X-Repo-Commit": repository.commit,
            "Accept-Ranges": "bytes",
        }
        self._send(200, content, headers)

    def _send_planted(self, answer: Answer) -> None:
        headers: dict[str, str | None] = {
            "Content-Type": "application/json",
            "Content-Length": str(len(answer.body)),
            "Connection": "close",  # a client without notice may send the next request there
            **answer.headers,
        }
        self.send_response(answer.status)
        for key, value in headers.items():
            if value is not None:
                self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for start in range(0, len(answer.body), 1) if answer.pause else ():
                time.sleep(answer.pause)
                self.wfile.write(answer.body[start : start + 1])
                self.wfile.flush()
            if not answer.pause:
                self.wfile.write(answer.body)
        except OSError:  # the client had enough
            pass
        self.close_connection = True

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
