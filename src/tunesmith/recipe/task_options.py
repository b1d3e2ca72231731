"""Task-specific options. Each task defines its own, in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.recipe.problems import describe_option

__all__ = ["Options", "read_options"]


_MOST_REPORTED = 20


class Options(BaseModel):
    """The base class of options; those of a task without any."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


OptionsT = TypeVar("OptionsT", bound=Options)


def read_options(kind: type[OptionsT], values: Mapping[str, object]) -> OptionsT:
    """Validate the recipe's section `options` for a task.

    Raises:
        RecipeError: an unknown option (R101) or a value that does not fit (R104); the place of each
            problem is its key.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        errors = [describe_option(detail, kind) for detail in error.errors()[:_MOST_REPORTED]]
        raise RecipeError(
            [
                Problem(
                    described.code,
                    described.message,
                    Place(".".join(described.path)),
                    fix="\n".join(part for part in (described.remark, described.fix) if part)
                    or None,
                )
                for described in errors
            ]
        ) from None
