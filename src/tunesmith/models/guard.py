"""Bounds on what a configuration may ask for, and libraries' errors on one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tunesmith.errors import ModelError, Problem, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["TooLarge", "bounded", "coded", "first_line"]


class TooLarge(Exception):
    """A model that is larger than its weights can be."""


@contextmanager
def bounded(*, modules: int, elements: int) -> Iterator[None]:
    """Stop the building of a model that grows beyond bounds; to be used on the meta device.

    Args:
        modules: the most modules.
        elements: the most numbers in its parameters and buffers, shared ones counted each time.

    Raises:
        TooLarge: from inside, as soon as one bound is passed.
    """
    from torch.nn.modules import module as hooks

    counts = {"modules": 0, "elements": 0}

    def count_module(_parent: Any, _name: str, _child: Any) -> None:
        counts["modules"] += 1
        if counts["modules"] > modules:
            raise TooLarge(_("more than {count} modules").format(count=modules))

    def count_tensor(_module: Any, _name: str, tensor: Any) -> None:
        counts["elements"] += 0 if tensor is None else tensor.numel()
        if counts["elements"] > elements:
            raise TooLarge(_("more than {count} numbers").format(count=elements))

    handles = [
        hooks.register_module_module_registration_hook(count_module),
        hooks.register_module_parameter_registration_hook(count_tensor),
        hooks.register_module_buffer_registration_hook(count_tensor),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def first_line(error: BaseException) -> str:
    """What an error of a library says, on one short line; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # strict dataclasses name the field on the first line and what is wrong on the second
    said = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    return shortened(said, at_most=200) or type(error).__name__


@contextmanager
def coded(problem: Callable[[str], Problem]) -> Iterator[None]:
    """Turn whatever a library makes of a model's files into one coded error.

    Libraries raise errors of any kind for damaged files, and those in Rust panic, which is no
    `Exception`. Requests to stop, and errors that have a code, stay themselves.

    Args:
        problem: makes the problem of a reason.

    Raises:
        ModelError: with that problem.
    """
    try:
        yield
    except (TunesmithError, TimeoutError):
        raise
    except BaseException as error:
        kind = type(error).__name__
        if not isinstance(error, Exception) and kind != "PanicException":
            raise
        if kind == "OutOfMemoryError":  # of a device: no fault of the files
            raise
        raise ModelError(problem(first_line(error))) from error
