"""Errors of the Hub client as coded errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tunesmith.errors import DataError, ModelError, Place, Problem, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import disk_problem
from tunesmith.text import nearest, redact, shortened

__all__ = ["Kind", "as_error", "endpoint", "hub_cause", "is_transient", "valid_responses"]

Kind = Literal["model", "dataset"]

_KNOWN_MODELS = (
    "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-base-chinese",
    "bert-base-multilingual-cased", "distilbert-base-uncased", "roberta-base", "roberta-large",
    "xlm-roberta-base", "albert-base-v2", "google/electra-small-discriminator",
    "google/electra-base-discriminator", "microsoft/deberta-v3-small",
    "microsoft/deberta-v3-base", "microsoft/MiniLM-L12-H384-uncased",
    "answerdotai/ModernBERT-base", "hfl/chinese-roberta-wwm-ext", "hfl/chinese-macbert-base",
)  # fmt: skip


@contextmanager
def valid_responses(repository: str, kind: Kind) -> Iterator[None]:
    """Turn the client's errors about invalid responses into M104, those of the disk into C107."""
    try:
        yield
    except TunesmithError:
        raise
    except Exception as error:
        from huggingface_hub import constants

        if problem := disk_problem(error, Path(constants.HF_HUB_CACHE)):
            raise ResourceError(problem) from error
        raise ResourceError.of(
            "M104",
            _("the answer of {endpoint} cannot be used: {reason}").format(
                endpoint=endpoint(), reason=_reason(error)
            ),
            Place(repository),
            fix=_("Try again later, or another endpoint (HF_ENDPOINT)."),
        ) from error


def endpoint() -> str:
    """Return the address of the Hub in use, without a password."""
    from huggingface_hub import constants

    return redact(str(constants.ENDPOINT))


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return shortened(lines[0], at_most=200) if lines and lines[0] else type(error).__name__


def hub_cause(error: BaseException | None) -> BaseException | None:
    """Return the error of the Hub client or of the network that caused an error, if any."""
    from huggingface_hub import errors

    known: tuple[type[BaseException], ...] = (
        errors.HfHubHTTPError,
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
        errors.HFValidationError,
        errors.RevisionNotFoundError,
        ConnectionError,
        TimeoutError,
    )
    seen: set[int] = set()
    cause = None
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, known) or type(error).__module__.startswith(("httpx", "httpcore")):
            cause = error
            if isinstance(error, errors.HfHubHTTPError):
                break
        error = error.__cause__ or error.__context__
    return cause


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return int(status) if status is not None else None


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may help: busy (429), failing (5xx), or a reused connection closed."""
    if type(error).__name__ == "RemoteProtocolError" and "without sending a response" in str(error):
        return True
    status = _status(error)
    return status == 429 or (status is not None and status >= 500)


def as_error(error: BaseException, repository: str, kind: Kind) -> TunesmithError:
    """Return the coded error for an error of the client."""
    from huggingface_hub import errors

    status = _status(error)
    place = Place(repository)
    wrong_name = ModelError if kind == "model" else DataError
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return ResourceError.of(
            "M106",
            _("access is restricted"),
            place,
            fix=_(
                "Ask for access on its page, then set the variable HF_TOKEN or run `hf auth login`."
            ),
        )
    if isinstance(error, errors.EntryNotFoundError):
        return ResourceError(_out_of_reach(error, repository, kind))
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
    """Return names that a misspelled one may mean: well-known, cached, and of the same owner."""
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
    except Exception:  # only for a hint
        pass
    return names - {repository}


def _out_of_reach(error: BaseException, repository: str, kind: Kind) -> Problem:
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        reason = _("HF_HUB_OFFLINE is set and it is not in the cache")
    elif isinstance(error, errors.EntryNotFoundError) and _status(error):
        reason = _("a file that it lists is missing")
    elif status := _status(error):
        reason = _("the Hub answered {status} repeatedly").format(status=status)
    else:
        reason = _reason(error)
    offline = (
        _("Offline: --model with a local folder, or --model embedded:mini to try things out.")
        if kind == "model"
        else _("Offline: give a local file, or embedded:tickets to try things out.")
    )
    return Problem(
        "M104",
        _("cannot be fetched from {endpoint}: {reason}").format(endpoint=endpoint(), reason=reason),
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
