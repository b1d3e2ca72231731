"""The Hugging Face Hub: all requests, with retries and coded errors.

They go through huggingface_hub, which follows `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`,
`HF_HUB_OFFLINE` and so on. Names are resolved to a commit once, so that a run can record it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tunesmith.errors import IntegrityError, Place, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage.atomic import write_file
from tunesmith.storage.downloads import is_commit, limit_responses, mismatch
from tunesmith.storage.hub_errors import (
    Kind,
    as_error,
    endpoint,
    hub_cause,
    is_transient,
    valid_responses,
)
from tunesmith.text import quoted, redact

__all__ = [
    "cached_folder",
    "download_model",
    "is_cached",
    "make_repository",
    "prepare_environment",
    "resolve_commit",
    "upload",
    "with_retries",
]

T = TypeVar("T")

RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Pauses before the second, third and fourth try when the Hub is busy (429) or fails (5xx)."""

_MODEL_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def prepare_environment() -> str | None:
    """Set variables before libraries read them; return a note if a mirror needs any.

    Xet serves large files from an address that the Hub returns, so with another endpoint alone the
    client would still contact the Hub. A value of `HF_HUB_DISABLE_XET` is left unchanged. On a Mac
    torch computes on the CPU what its GPU cannot, and says so; without the variable it fails.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint and "//huggingface.co" not in endpoint and "HF_HUB_DISABLE_XET" not in os.environ:
        os.environ["HF_HUB_DISABLE_XET"] = "1"
        return _("HF_ENDPOINT is {endpoint}; files are fetched from there, without Xet").format(
            endpoint=redact(endpoint)
        )
    return None


def resolve_commit(repository: str, *, kind: Kind, revision: str | None) -> str | None:
    """Resolve a branch or tag to a commit; offline to the newest one in the cache.

    Returns:
        Forty hex digits, or None if the Hub cannot be reached and nothing is cached.

    Raises:
        TunesmithError: as `with_retries` does.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return with_retries(  # an invalid name is an error here, too
            lambda: _cached_commit(repository, kind=kind, revision=revision), repository, kind=kind
        )
    limit_responses()
    api = HfApi()

    def resolve() -> str:
        info = api.repo_info(repository, repo_type=kind, revision=revision, timeout=30)
        if not is_commit(info.sha):
            raise ValueError(_("its commit is {value}").format(value=quoted([info.sha])))
        return str(info.sha)

    try:
        with valid_responses(repository, kind):
            return with_retries(resolve, repository, kind=kind)
    except ResourceError:
        cached = _cached_commit(repository, kind=kind, revision=revision)
        if cached is None:
            raise
        return cached


def download_model(name: str, *, revision: str | None) -> Path:
    """Download a Hub model and return its folder in the cache, whose name is the commit.

    Only safetensors, configuration and tokenizer files are downloaded. Each is compared with the
    hash that the Hub announced, every time.

    Raises:
        TunesmithError: as `with_retries` does.
        IntegrityError: a file does not match its hash (M103); it is deleted.
    """
    from huggingface_hub import snapshot_download

    commit = resolve_commit(name, kind="model", revision=revision)
    limit_responses()
    try:
        with valid_responses(name, "model"):
            folder = Path(
                with_retries(
                    lambda: snapshot_download(
                        name,
                        revision=commit or revision,
                        allow_patterns=_MODEL_FILES,
                        ignore_patterns=["*/*"],
                    ),
                    name,
                    kind="model",
                )
            )
            _record_commit(folder, revision)
            _verify(folder, name)
    except TunesmithError:
        _delete_listing(name, commit)
        raise
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        _delete_listing(name, commit)  # it may be incomplete
    return folder


def _delete_listing(name: str, commit: str | None) -> None:
    """Delete the list of a model's files, which newer clients never fetch again."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    with suppress(OSError):
        (folder / "trees" / f"{commit}.json").unlink(missing_ok=True)


def _record_commit(folder: Path, revision: str | None) -> None:
    """Record in the cache the commit of a revision, as the client does, for work offline."""
    reference = folder.parents[1] / "refs" / (revision or "main")
    if not is_commit(folder.name) or revision == folder.name or ".." in reference.parts:
        return
    if not reference.is_file() or reference.read_text(encoding="utf-8") != folder.name:
        reference.parent.mkdir(parents=True, exist_ok=True)
        write_file(reference, folder.name)


def _verify(folder: Path, name: str) -> None:
    """Compare every file of a snapshot with its hash, which is its name in the cache."""
    for path in sorted(folder.iterdir()):
        content = path.resolve()
        if content.parent.name == "blobs" and mismatch(content, content.name):
            path.unlink()
            content.unlink()
            raise IntegrityError.of(
                "M103",
                _("{file} is not the file that {endpoint} announced: its hash differs").format(
                    file=path.name, endpoint=endpoint()
                ),
                Place(name),
                fix=_(
                    "It was deleted from the cache; the same command downloads it again. If it "
                    "differs again, the server or a proxy changes files."
                ),
            )


def is_cached(name: str) -> bool:
    """Return whether a model's configuration is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def cached_folder(name: str, *, revision: str | None) -> Path | None:
    """Return the folder of a Hub model in the local cache, if it is there, without a request."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(path).parent if isinstance(path, str) else None


def make_repository(name: str, *, token: str | None, private: bool | None) -> str:
    """Create a repository for a model if it does not exist; return its full name.

    Raises:
        TunesmithError: as `with_retries` does.
    """
    from huggingface_hub import HfApi

    def make() -> str:
        made = HfApi(token=token).create_repo(name, private=private, exist_ok=True)
        return str(made.repo_id)

    return with_retries(make, name, kind="model")


def upload(
    folder: Path,
    repository: str,
    *,
    token: str | None,
    revision: str | None,
    message: str,
    without: Sequence[str],
) -> str:
    """Upload a folder in one commit; return its address.

    Args:
        folder: to upload.
        repository: its full name.
        token: of the Hub; None for that of the machine.
        revision: a branch; None for the main one.
        message: of the commit.
        without: patterns of files to leave out.

    Raises:
        TunesmithError: as `with_retries` does.
    """
    from huggingface_hub import HfApi

    def send() -> str:
        return str(
            HfApi(token=token).upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=message,
                revision=revision,
                ignore_patterns=list(without),
            )
        )

    return with_retries(send, repository, kind="model")


def with_retries(call: Callable[[], T], repository: str, *, kind: Kind) -> T:
    """Make a call that needs the Hub, and retry while the Hub is busy or failing.

    Raises:
        ModelError: there is no such model or revision (M107, M108).
        DataError: there is no such data set or revision (D105, D109).
        ResourceError: the Hub cannot be reached (M104) or requires a token (M106).
    """
    pauses = list(RETRY_SECONDS)
    while True:
        try:
            return call()
        except TunesmithError:
            raise
        except Exception as error:
            cause = hub_cause(error)
            if cause is None:
                raise
            if is_transient(cause) and pauses:
                time.sleep(pauses.pop(0))
                continue
            raise as_error(cause, repository, kind) from error


def _cached_commit(repository: str, *, kind: Kind, revision: str | None) -> str | None:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)
    reference = folder / "refs" / (revision or "main")
    if reference.is_file():
        return reference.read_text(encoding="utf-8").strip()
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return None
    if revision:
        exact = [path.name for path in snapshots.iterdir() if path.name.startswith(revision)]
        return exact[0] if exact else None
    newest = sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime)
    return newest[-1].name if newest else None
