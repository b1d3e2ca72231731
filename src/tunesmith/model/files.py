"""From a name to safe local files.

Weights come from safetensors; nothing in a model's folder can bring code of its own. Only this
package reads a model's config.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith import hub
from tunesmith.data.sources import looks_like_a_file
from tunesmith.errors import ModelError, Place, Problem, nearest, quoted
from tunesmith.language import gettext as _

__all__ = ["ModelFiles", "locate"]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files lie.

    Attributes:
        name: as it was asked for.
        folder: holds config.json, safetensors and tokenizer files.
        revision: the commit, if it came from the Hub.
    """

    name: str
    folder: Path
    revision: str | None = None

    def config(self) -> dict[str, Any]:
        """The configuration, without anything that could bring code.

        Raises:
            ModelError: there is none (M109), or it asks for code of its own (M105).
        """
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(
                Problem(
                    "M109",
                    _("there is no config.json; this is not a model folder"),
                    Place(str(self.folder)),
                )
            ) from None
        except (OSError, ValueError) as error:
            raise ModelError(
                Problem(
                    "M109",
                    _("config.json cannot be read: {reason}").format(reason=error),
                    Place(str(path)),
                )
            ) from error
        if not isinstance(config, dict) or "model_type" not in config:
            raise ModelError(
                Problem("M109", _("config.json does not say its model_type"), Place(str(path)))
            )
        return config


def locate(name: str, *, revision: str | None = None) -> ModelFiles:
    """Find a model: `embedded:mini`, a local folder, or the Hub.

    Raises:
        ModelError: there is no such model, or it has no safetensors (M101).
        ResourceError: the Hub is out of reach or wants a token.
    """
    if name.startswith("embedded:"):
        from tunesmith.embedded_model import embedded_folder

        return ModelFiles(name, embedded_folder(name))
    path = Path(name).expanduser()
    if path.is_dir():
        folder = path / "model" if (path / "model" / "config.json").is_file() else path
        files = ModelFiles(name, folder)
    elif looks_like_a_file(name):
        raise ModelError(_no_such_folder(path))
    else:
        folder = hub.download_model(name, revision=revision)
        files = ModelFiles(name, folder, folder.name)
    files.config()
    if not any(files.folder.glob("*.safetensors")):
        pickled = sorted(p.name for p in files.folder.glob("*.bin"))
        only = _("only {names}").format(names=quoted(pickled))
        raise ModelError(
            Problem(
                "M101",
                _("it holds no weights in safetensors"),
                Place(name),
                evidence=(only,) if pickled else (),
                fix=_(
                    "Pickled weights can run code and are never loaded. Choose a revision with "
                    "safetensors; on the Hub many models have one in a pull request (refs/pr/1)."
                ),
            )
        )
    return files


def _no_such_folder(path: Path) -> Problem:
    siblings = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    return Problem(
        "M107",
        _("there is no such model folder"),
        Place(str(path)),
        fix=_('Did you mean "{name}"?').format(name=path.parent / close[0]) if close else None,
    )
