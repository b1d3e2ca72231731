"""What libraries of stores raise, as errors with a code and without secrets: the one place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.errors import Place, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.remote.location import Location
from tunesmith.text import redact, shortened

__all__ = ["Conflict", "missing_library", "reported", "without_secrets"]

_EXTRAS = {"s3": ("s3", "s3fs"), "gs": ("gcs", "gcsfs"), "az": ("azure", "adlfs")}
"""The extra and the library of each scheme."""
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|SAS|CONNECTION_STRING|CREDENTIAL")
_QUERY = re.compile(r"(://[^\s?'\"]+)\?[^\s'\"]*")
_ACCOUNT_KEY = re.compile(r"(?i)\b(AccountKey|SharedAccessSignature|sig|signature)=[^\s;&'\"]+")
_SHORTEST_SECRET = 8

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName")
_NO_RIGHTS = (
    "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "403", "401",
    "AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions",
)  # fmt: skip
_NO_CREDENTIALS = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "NoCredentialsError", "PartialCredentialsError", "AuthenticationFailed", "InvalidSecurity",
    "NoAuthenticationInformation", "DefaultCredentialsError", "RefreshError",
    "ClientAuthenticationError", "TokenRefreshRequired", "CredentialRetrievalError",
    "ProfileNotFound", "UnauthorizedSSOTokenError", "SSOTokenLoadError",
)  # fmt: skip
_NO_ANSWER = (
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
    "ClientConnectorError", "ClientConnectionError", "ServerDisconnectedError", "ProxyError",
    "ServiceRequestError", "ServiceResponseError", "ProxyConnectionError", "SSLError",
)  # fmt: skip


class Conflict(Exception):
    """The object is there already, or is another version now."""


@contextmanager
def reported(location: Location) -> Iterator[None]:
    """Turn what a store's library raises into an error that says which store and why.

    Raises:
        ResourceError: the store cannot be used (C162).
    """
    try:
        yield
    except (TunesmithError, Conflict):
        raise
    except Exception as error:
        names = _names(error)
        message, fix = _meaning(names, error)
        raise ResourceError.of(
            "C162",
            message,
            Place(str(location)),
            (f"{type(error).__name__}: {without_secrets(str(error))}",),
            fix,
        ) from None


def _names(error: BaseException) -> set[str]:
    """Return the types and the store's own codes of an error and of its causes."""
    names: set[str] = set()
    seen: BaseException | None = error
    for _depth in range(8):
        if seen is None:
            break
        names |= {one.__name__ for one in type(seen).__mro__}
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            names.add(str(response.get("Error", {}).get("Code")))
        names |= {
            str(value)
            for name in ("error_code", "code", "status_code")
            if (value := getattr(seen, name, None)) is not None
        }
        seen = seen.__cause__ or seen.__context__
    return names


def _meaning(names: set[str], error: BaseException) -> tuple[str, str]:
    """Return message and fix for what a library raised."""
    if not names.isdisjoint(_NO_BUCKET):
        return _("there is no such bucket"), _("Create it, or correct the address.")
    if not names.isdisjoint(_NO_CREDENTIALS):
        return (
            _("the store does not accept the credentials, or there are none"),
            _("Set them up as the store's own library reads them; they may have expired."),
        )
    if not names.isdisjoint(_NO_RIGHTS) or isinstance(error, PermissionError):
        return (
            _("the store refuses access"),
            _("Reading, writing, listing and deleting below the address have to be allowed."),
        )
    if not names.isdisjoint(_NO_ANSWER) or isinstance(error, ConnectionError | TimeoutError):
        return (
            _("the store does not answer"),
            _("Check network and endpoint, then run the same command again."),
        )
    return _("the store cannot be used"), _(
        "See the reason above; then run the same command again."
    )


def without_secrets(text: str) -> str:
    """Return the text on one line without queries of addresses, keys and values of secrets."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name.upper()):
            text = text.replace(value, "…")
    text = _ACCOUNT_KEY.sub(r"\1=…", _QUERY.sub(r"\1?…", text))
    return shortened(redact(text), at_most=300)


def missing_library(location: Location) -> ResourceError:
    """Return the error of a library that is not installed."""
    extra, library = _EXTRAS[location.scheme]
    return ResourceError.of(
        "C161",
        _("{scheme}:// needs the package {library}").format(
            scheme=location.scheme, library=library
        ),
        Place(str(location)),
        fix=f'pip install "tunesmith[{extra}]"',
    )
