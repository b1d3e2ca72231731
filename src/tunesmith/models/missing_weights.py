"""Weights that a model's files lack: a head may be new, anything else only if it is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tunesmith.errors import ModelError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import quoted

__all__ = ["check_body", "check_layers"]

_SHOWN = 5


def check_body(
    name: str,
    model: Any,
    new: Collection[str],
    *,
    shapes: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    allowed: Sequence[str] = (),
) -> list[Problem]:
    """Refuse a model in which more than a head is new.

    The head is everything outside the base model, and the pooler, which masked language models
    lack. A layer with new and loaded tensors is damaged, wherever it is.

    Args:
        name: of the model.
        model: as loaded.
        new: names of tensors that were not loaded.
        shapes: of tensors that do not fit: in the weights, and by config.json.
        allowed: patterns of names that may be new.

    Returns:
        Warnings about what else is new.

    Raises:
        ModelError: something else is new (M124).
    """
    body = _body(model, new)
    lacking = (body & set(new)) | _half_layers(model, new)
    permitted = {n for n in lacking if any(fnmatchcase(n, pattern) for pattern in allowed)}
    if refused := sorted(lacking - permitted):
        raise ModelError(_lacking(name, refused, shapes))
    problems = []
    if permitted:
        problems.append(_new_by_permission(name, sorted(permitted)))
    of_base = f"{model.base_model_prefix}."
    pooler = sorted(n for n in new if n.startswith(of_base) and _is_pooler(n))
    if pooler and not permitted.issuperset(pooler):
        problems.append(_new_pooler(name, pooler))
    return problems


def _body(model: Any, new: Collection[str]) -> set[str]:
    """Return the names of the tensors outside the head."""
    names = set(model.state_dict())
    prefix = f"{model.base_model_prefix}."
    if any(name.startswith(prefix) for name in names):
        return {name for name in names if name.startswith(prefix) and not _is_pooler(name)}
    # without a base model the head is the part of which nothing was loaded, if others were
    parts: dict[str, set[str]] = {}
    for name in names:
        parts.setdefault(name.split(".", 1)[0], set()).add(name)
    heads = [part for part in parts.values() if part <= set(new)]
    return set() if len(heads) == 1 and len(parts) > 1 else names


def _is_pooler(name: str) -> bool:
    return "pooler" in name.split(".")


def _half_layers(model: Any, new: Collection[str]) -> set[str]:
    """Return new tensors in layers with loaded ones; shared tensors do not count."""
    aliases: dict[int, int] = {}
    for _name, parameter in model.named_parameters(remove_duplicate=False):
        aliases[id(parameter)] = aliases.get(id(parameter), 0) + 1
    half = set()
    for path, module in model.named_modules():
        own = {
            f"{path}.{name}".lstrip(".")
            for name, parameter in module.named_parameters(recurse=False)
            if aliases[id(parameter)] == 1
        }
        if not own <= set(new):
            half |= own & set(new)
    return half


def _lacking(
    name: str,
    refused: Sequence[str],
    shapes: Mapping[str, tuple[Sequence[int], Sequence[int]]],
) -> Problem:
    evidence = [
        _("{name}: {stored} in the weights, {expected} by config.json").format(
            name=n, stored=list(shapes[n][0]), expected=list(shapes[n][1])
        )
        for n in refused
        if n in shapes
    ]
    return Problem(
        "M124",
        ngettext(
            "its weights lack {count} tensor: {names}",
            "its weights lack {count} tensors: {names}",
            len(refused),
        ).format(count=len(refused), names=quoted(refused, at_most=_SHOWN)),
        Place(name),
        evidence=tuple(evidence[:_SHOWN]),
        fix=_(
            "Only a whole head may be new. The weights are damaged, or do not belong to this "
            "config.json: fetch the model again. "
            "To initialize these tensors at random anyway, name them in train.allow_missing."
        ),
    )


def _new_by_permission(name: str, permitted: Sequence[str]) -> Problem:
    return Problem(
        "M127",
        ngettext(
            "{count} tensor outside the head is initialized at random (train.allow_missing): "
            "{names}",
            "{count} tensors outside the head are initialized at random (train.allow_missing): "
            "{names}",
            len(permitted),
        ).format(count=len(permitted), names=quoted(permitted, at_most=_SHOWN)),
        Place(name),
        fix=_("Check that these are the tensors that you mean."),
        severity=Severity.WARNING,
    )


def _new_pooler(name: str, pooler: Sequence[str]) -> Problem:
    return Problem(
        "M129",
        _("its weights have no pooler ({names}): it is new, like the head").format(
            names=quoted(pooler, at_most=_SHOWN)
        ),
        Place(name),
        severity=Severity.NOTE,
    )


def check_layers(name: str, model: Any, unused: Collection[str]) -> list[Problem]:
    """Warn that the weights have more layers than config.json (M148).

    Args:
        name: of the model.
        model: as loaded.
        unused: names of tensors in its files that it does not have.
    """
    known = {_without_numbers(own) for own in model.state_dict()}
    prefix = f"{model.base_model_prefix}."
    further = sorted(
        n
        for n in unused
        if re.search(r"\.\d+\.", n)
        and known & {_without_numbers(own) for own in (n, prefix + n, n.removeprefix(prefix))}
    )
    if not further:
        return []
    return [
        Problem(
            "M148",
            ngettext(
                "{count} tensor of its weights belongs to layers that config.json leaves out: "
                "{names}",
                "{count} tensors of its weights belong to layers that config.json leaves out: "
                "{names}",
                len(further),
            ).format(count=len(further), names=quoted(further, at_most=_SHOWN)),
            Place(name),
            fix=_("If this is not intended, download the model again."),
            severity=Severity.WARNING,
        )
    ]


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "#", name)
