"""Groups of commands that name the nearest verb for one they do not know."""

from __future__ import annotations

import click

from tunesmith.errors import nearest
from tunesmith.language import gettext as _

__all__ = ["Verbs"]


class Verbs(click.Group):
    """A click group with suggestions."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with our words."""
        known = self.list_commands(context)
        if args and not args[0].startswith("-") and args[0] not in known:
            close = nearest(args[0], known)
            hint = " " + _('did you mean "{name}"?').format(name=close[0]) if close else ""
            raise click.UsageError(
                _('there is no command "{name}".').format(name=args[0]) + hint, context
            )
        return super().resolve_command(context, args)
