"""Quantities with units: "3 epochs", "500 steps", "10 minutes", "10%".

A number without a unit is easily misread (a patience of 3 means three evaluations, not three
epochs), so recipes write the unit, and units never mix silently.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import core_schema

from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = [
    "UNITS",
    "Duration",
    "EarlyStopping",
    "EvaluationInterval",
    "In",
    "Percentage",
    "SaveInterval",
    "SplitSource",
    "Warmup",
]

UNITS = ("epochs", "steps", "evaluations", "seconds", "minutes", "hours")
_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}
_ALIASES = {
    **{unit: unit for unit in UNITS},
    **{unit[:-1]: unit for unit in UNITS},
    "sec": "seconds", "s": "seconds", "min": "minutes", "m": "minutes", "h": "hours",
    "ep": "epochs",
}  # fmt: skip
_LONGEST = 60
"""Characters of a quantity; patterns take the square of the length of what does not match."""
SMALLEST, LARGEST = 1e-6, 1_000_000_000
"""Bounds of any amount; others are typos, and steps must stay countable."""
SMALLEST_FRACTION = 1e-9
_PERCENTAGE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*")
_WRITTEN = re.compile(r"\s*(?P<amount>\d+(?:\.\d*)?|\.\d+)?\s*(?P<unit>[A-Za-z]+)\s*")


@dataclass(frozen=True, slots=True)
class Duration:
    """An amount and its unit.

    Attributes:
        amount: more than zero; a whole number for steps and evaluations.
        unit: one of `UNITS`.
    """

    amount: float
    unit: str

    def __str__(self) -> str:
        unit = self.unit[:-1] if self.amount == 1 else self.unit
        return f"{_digits(Decimal(repr(self.amount)))} {unit}"

    @property
    def seconds(self) -> float | None:
        """Return the length in seconds, or None if the unit is not one of time."""
        return self.amount * _SECONDS[self.unit] if self.unit in _SECONDS else None

    @classmethod
    def parse(cls, written: str, *, units: tuple[str, ...] = UNITS) -> Duration:
        """Read "3 epochs", "epoch", "500 steps", "10 minutes"; the error message lists `units`.

        Raises:
            ValueError: not an amount and a unit; the message is for the user.
        """
        match = _WRITTEN.fullmatch(written) if len(written) <= _LONGEST else None
        unit = _ALIASES.get(match["unit"].lower()) if match else None
        if match is None or unit is None:
            raise ValueError(
                _(
                    '"{written}" is not a duration; write a number and a unit, one of {units}'
                ).format(written=shortened(written), units=", ".join(units))
            )
        amount = float(match["amount"] or 1)
        if amount <= 0:
            raise ValueError(_('"{written}" must be more than zero').format(written=written))
        if not SMALLEST <= amount <= LARGEST:
            raise ValueError(
                _('"{written}" must be at least {smallest} and at most {largest}').format(
                    written=written, smallest=f"{SMALLEST:f}", largest=LARGEST
                )
            )
        if unit in ("steps", "evaluations") and amount != int(amount):
            raise ValueError(_('"{written}" must be a whole number').format(written=written))
        return cls(amount, unit)


_NOTHING = ("never", "no")


@dataclass(frozen=True, slots=True)
class In:
    """A pydantic annotation: a duration in one of these units, or None.

    Attributes:
        units: the units allowed here.
        bare: the unit of a bare number, where one is unmistakable.
    """

    units: tuple[str, ...]
    bare: str | None = None

    def read(self, value: object) -> Duration | None:
        """Return the duration that a value means; raise ValueError if it means none."""
        if value is None or (isinstance(value, str) and value.lower() in _NOTHING):
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and self.bare:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(_("it must be a finite number"))
            value = f"{_digits(Decimal(repr(value)))} {self.bare}"
        units = ", ".join(self.units)
        if isinstance(value, str):
            value = Duration.parse(value, units=self.units)
        if not isinstance(value, Duration):
            raise ValueError(
                _('"{written}" needs a unit: one of {units}').format(written=value, units=units)
            )
        return _in_units(value, self.units)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(_written)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        words = "|".join([f"{unit[:-1]}s?" for unit in self.units] + list(_NOTHING))
        options: list[dict[str, object]] = [
            {
                "type": "string",
                "pattern": rf"^\s*[0-9.]*\s*({words})\s*$",
                "examples": [f"{500 if unit == 'steps' else 3} {unit}" for unit in self.units],
            },
            {"type": "null"},
        ]
        if self.bare:
            options.append({"type": "integer", "minimum": 1})
        return {"anyOf": options}


def _in_units(value: Duration, units: tuple[str, ...]) -> Duration:
    if value.unit not in units:
        raise ValueError(
            _('"{written}" cannot be in {unit} here; use {units}').format(
                written=value, unit=value.unit, units=", ".join(units)
            )
        )
    return value


def _written(value: object) -> str | None:
    return None if value is None else str(value)


def _digits(number: Decimal) -> str:
    """Write a number without an exponent, so that it is read back exactly: 3, 0.5, 1234567."""
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


@dataclass(frozen=True, slots=True)
class Percentage:
    """A fraction of a whole, between 0 and 1, written as a percentage."""

    fraction: float

    def __str__(self) -> str:
        return f"{_digits(Decimal(repr(self.fraction)) * 100)}%"

    @classmethod
    def parse(cls, written: str) -> Percentage | None:
        """Read "10%"; None if it is not written as a percentage.

        Raises:
            ValueError: a percentage outside 0 to 100.
        """
        match = _PERCENTAGE.fullmatch(written) if len(written) <= _LONGEST else None
        if match is None:
            return None
        fraction = float(Decimal(match[1]) / 100)
        if not SMALLEST_FRACTION <= fraction < 1:
            raise ValueError(
                _('"{written}" must be more than 0% and less than 100%').format(written=written)
            )
        return cls(fraction)


def _read_warmup(value: object) -> object:
    units = ("steps", "epochs")
    if isinstance(value, str):
        value = Percentage.parse(value) or Duration.parse(value, units=units)
    if isinstance(value, Duration):
        return _in_units(value, units)
    if value is None or isinstance(value, Percentage):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return None
        if SMALLEST_FRACTION <= value < 1:  # as in transformers: a fraction of all steps
            return Percentage(float(value))
        if 1 <= value <= LARGEST and value == int(value):
            return Duration(float(value), "steps")
    raise ValueError(
        _('"{written}" is neither steps nor a fraction').format(written=shortened(str(value)))
    )


Warmup = Annotated[
    Percentage | Duration | None,
    BeforeValidator(_read_warmup),
    PlainSerializer(_written),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["10%", "100 steps", "1 epoch"]},
                {"type": "number", "minimum": 0},
                {"type": "null"},
            ]
        }
    ),
]


def _read_split(value: object) -> object:
    if value in ("", [], ()):
        raise ValueError(_("it must not be empty"))
    if isinstance(value, str):
        return Percentage.parse(value) or value
    return tuple(value) if isinstance(value, list) else value


SplitSource = Annotated[
    Percentage | str | tuple[str, ...] | None,
    BeforeValidator(_read_split),
    PlainSerializer(lambda value: str(value) if isinstance(value, Percentage) else value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["10%", "validation", "validation.csv"]},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ]
        }
    ),
]

EvaluationInterval = Annotated[Duration | None, In(("epochs", "steps"))]
SaveInterval = Annotated[Duration | None, In(("epochs", "steps", "minutes", "hours", "seconds"))]
EarlyStopping = Annotated[Duration | None, In(("evaluations",), bare="evaluations")]
