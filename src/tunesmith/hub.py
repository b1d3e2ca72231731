"""The Hugging Face Hub: the one place that asks it for anything, with retries and plain answers.

Everything goes through the real client, which honours `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`,
`HF_HUB_OFFLINE` and the rest. Names are resolved to a commit once, so that a run can record it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from tunesmith.errors import (
    DataError,
    ModelError,
    Place,
    PlainError,
    Problem,
    ResourceError,
    nearest,
)
from tunesmith.language import gettext as _

__all__ = [
    "ask",
    "cached_folder",
    "download_model",
    "is_cached",
    "make_repository",
    "prepare_environment",
    "resolve_commit",
    "upload",
]

Kind = Literal["model", "dataset"]
T = TypeVar("T")

RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Pauses before the second, third and fourth try when the Hub is busy (429) or ill (5xx)."""

_MODEL_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
_KNOWN_MODELS = (
    "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-base-chinese",
    "bert-base-multilingual-cased", "distilbert-base-uncased", "roberta-base", "roberta-large",
    "xlm-roberta-base", "albert-base-v2", "google/electra-small-discriminator",
    "google/electra-base-discriminator", "microsoft/deberta-v3-small",
    "microsoft/deberta-v3-base", "microsoft/MiniLM-L12-H384-uncased",
    "answerdotai/ModernBERT-base", "hfl/chinese-roberta-wwm-ext", "hfl/chinese-macbert-base",
)  # fmt: skip


def prepare_environment() -> str | None:
    """Set what a mirror needs, before the client is loaded; returns a note if something was set.

    Xet serves large files from an address that the Hub itself hands out, so a foreign endpoint
    alone would still send the client to the Hub. Whoever sets `HF_HUB_DISABLE_XET` is left alone.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint and "//huggingface.co" not in endpoint and "HF_HUB_DISABLE_XET" not in os.environ:
        os.environ["HF_HUB_DISABLE_XET"] = "1"
        return _("HF_ENDPOINT is {endpoint}; files are fetched from there, without Xet").format(
            endpoint=endpoint
        )
    return None


def resolve_commit(repository: str, *, kind: Kind, revision: str | None) -> str | None:
    """The commit that a branch or tag stands for; offline the newest one in the cache.

    Returns:
        Forty hex digits, or None if the Hub is out of reach and nothing is cached.

    Raises:
        PlainError: as `ask` does.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return ask(  # a name that no repository can have is an error here, too
            lambda: _cached_commit(repository, kind=kind, revision=revision), repository, kind=kind
        )
    api = HfApi()
    try:
        info = ask(
            lambda: api.repo_info(repository, repo_type=kind, revision=revision, timeout=30),
            repository,
            kind=kind,
        )
    except ResourceError:
        cached = _cached_commit(repository, kind=kind, revision=revision)
        if cached is None:
            raise
        return cached
    return str(info.sha)


def download_model(name: str, *, revision: str | None) -> Path:
    """The folder of a Hub model in the cache, fetched if need be; its name is the commit.

    Only weights in safetensors, configuration and tokenizer files are fetched.

    Raises:
        PlainError: as `ask` does.
    """
    from huggingface_hub import snapshot_download

    return Path(
        ask(
            lambda: snapshot_download(
                name,
                revision=revision,
                allow_patterns=_MODEL_FILES,
                ignore_patterns=["*/*"],
            ),
            name,
            kind="model",
        )
    )


def is_cached(name: str) -> bool:
    """Whether a model's configuration is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def cached_folder(name: str, *, revision: str | None) -> Path | None:
    """The folder of a Hub model in the local cache, None if it is not there; nothing is asked."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def make_repository(name: str, *, token: str | None, private: bool | None) -> str:
    """Make a repository for a model unless it is there; returns its full name.

    Raises:
        PlainError: as `ask` does.
    """
    from huggingface_hub import HfApi

    def make() -> str:
        made = HfApi(token=token).create_repo(name, private=private, exist_ok=True)
        return str(made.repo_id)

    return ask(make, name, kind="model")


def upload(
    folder: Path,
    repository: str,
    *,
    token: str | None,
    revision: str | None,
    message: str,
    without: Sequence[str],
) -> str:
    """Upload a folder in one commit; returns its address.

    Args:
        folder: what to upload.
        repository: its full name.
        token: of the Hub; None for that of the machine.
        revision: a branch; None for the main one.
        message: of the commit.
        without: patterns of what stays here.

    Raises:
        PlainError: as `ask` does.
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

    return ask(send, repository, kind="model")


def ask(call: Callable[[], T], repository: str, *, kind: Kind) -> T:
    """Make a call that needs the Hub, trying again while the Hub is busy or ill.

    Raises:
        ModelError: there is no such model or revision (M107, M108).
        DataError: there is no such data set or revision (D105, D109).
        ResourceError: the Hub is out of reach (M104) or wants a token (M106).
    """
    pauses = list(RETRY_SECONDS)
    while True:
        try:
            return call()
        except PlainError:
            raise
        except Exception as error:
            cause = _hub_cause(error)
            if cause is None:
                raise
            if _is_passing(cause) and pauses:
                time.sleep(pauses.pop(0))
                continue
            raise _told(cause, repository, kind) from error


def _hub_cause(error: BaseException | None) -> BaseException | None:
    """The error of the Hub client or of the network behind an error, if there is one."""
    from huggingface_hub import errors

    ours: tuple[type[BaseException], ...] = (
        errors.HfHubHTTPError,
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
        errors.HFValidationError,
        errors.RevisionNotFoundError,
        ConnectionError,
        TimeoutError,
    )
    seen: set[int] = set()
    found = None
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ours) or type(error).__module__.startswith(("httpx", "httpcore")):
            found = error
            if isinstance(error, errors.HfHubHTTPError):
                break
        error = error.__cause__ or error.__context__
    return found


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return int(status) if status is not None else None


def _is_passing(error: BaseException) -> bool:
    status = _status(error)
    return status == 429 or (status is not None and status >= 500)


def _told(error: BaseException, repository: str, kind: Kind) -> PlainError:
    from huggingface_hub import errors

    status = _status(error)
    place = Place(repository)
    wrong_name = ModelError if kind == "model" else DataError
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return ResourceError(
            Problem(
                "M106",
                _("access is restricted"),
                place,
                fix=_(
                    "Ask for access on its page, then set the variable HF_TOKEN or run "
                    "`hf auth login`."
                ),
            )
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return wrong_name(
            Problem(
                "M108" if kind == "model" else "D109",
                _("there is no such revision"),
                place,
                fix=_("Give a branch, a tag or a commit that its page lists."),
            )
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError) or status in (
        401,
        404,
    ):
        return wrong_name(_no_such_repository(repository, kind))
    return ResourceError(_out_of_reach(error, repository, kind))


def _no_such_repository(repository: str, kind: Kind) -> Problem:
    message = (
        _("there is no such model on the Hub, or it is private")
        if kind == "model"
        else _("there is no such data set on the Hub, or it is private")
    )
    hints = []
    if close := nearest(repository, _names_like(repository, kind), how_many=3):
        hints.append(_("Did you mean {names}?").format(names=", ".join(f'"{c}"' for c in close)))
    hints.append(
        _("A local folder is given by its path, such as ./{name}.").format(name=repository)
    )
    if not os.environ.get("HF_TOKEN"):
        hints.append(_("If it is private, set the variable HF_TOKEN or run `hf auth login`."))
    return Problem(
        "M107" if kind == "model" else "D105", message, Place(repository), fix="\n".join(hints)
    )


def _names_like(repository: str, kind: Kind) -> set[str]:
    """Names that a misspelt one may stand for: well-known, cached, and of the same owner."""
    from huggingface_hub import HfApi, constants

    names = set(_KNOWN_MODELS) if kind == "model" else {"glue/mrpc", "glue/sst2", "glue/cola"}
    prefix = f"{kind}s--"
    cache = Path(constants.HF_HUB_CACHE)
    if cache.is_dir():
        names |= {
            folder.name.removeprefix(prefix).replace("--", "/")
            for folder in cache.glob(prefix + "*")
        }
    if constants.HF_HUB_OFFLINE:
        return names - {repository}
    api = HfApi()
    owner, _slash, rest = repository.rpartition("/")
    try:
        listing: Any = api.list_models if kind == "model" else api.list_datasets
        query = {"author": owner} if owner else {"search": rest[:6]}
        names |= {str(info.id) for info in listing(**query, limit=200)}
    except Exception:  # a hint is welcome, never required
        pass
    return names - {repository}


def _out_of_reach(error: BaseException, repository: str, kind: Kind) -> Problem:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        reason = _("HF_HUB_OFFLINE is set and it is not in the cache")
    elif status := _status(error):
        reason = _("the Hub answered {status} again and again").format(status=status)
    else:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    offline = (
        _("Offline: --model with a local folder, or --model embedded:mini to try things out.")
        if kind == "model"
        else _("Offline: give a local file, or embedded:tickets to try things out.")
    )
    return Problem(
        "M104",
        _("cannot be fetched from {endpoint}: {reason}").format(
            endpoint=constants.ENDPOINT, reason=reason
        ),
        Place(repository),
        fix="\n".join(
            (
                _("Another endpoint or a mirror is set by the variable HF_ENDPOINT."),
                _("What was fetched before is found in {cache}.").format(
                    cache=constants.HF_HUB_CACHE
                ),
                offline,
            )
        ),
    )


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
