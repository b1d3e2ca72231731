"""Options: what one task alone can be told. Each task brings its own, in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.recipe.problems import describe_option

__all__ = ["Options", "read_options"]


_MOST_TOLD = 20


class Options(BaseModel):
    """The options of a task that has none; others derive from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Chosen = TypeVar("Chosen", bound=Options)


def read_options(kind: type[Chosen], values: Mapping[str, object]) -> Chosen:
    """The options of a task from the recipe's section `options`.

    Raises:
        RecipeError: an unknown option (R101) or a value that does not fit (R104); the place of each
            problem is its key.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        told = [describe_option(detail, kind) for detail in error.errors()[:_MOST_TOLD]]
        raise RecipeError(
            [
                Problem(
                    described.code,
                    described.message,
                    Place(".".join(described.path)),
                    fix="\n".join(part for part in (described.remark, described.fix) if part)
                    or None,
                )
                for described in told
            ]
        ) from None
