"""From a name to safe local files.

Weights are read from safetensors; nothing in a model's folder is run as code. Only this package
reads a model's config.json.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.open import looks_like_a_file
from tunesmith.errors import IntegrityError, ModelError, Place, Problem, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.models.untrusted import UnreadableFile, open_regular, read_json
from tunesmith.storage import hub
from tunesmith.storage.downloads import sha256_once
from tunesmith.storage.manifest import MANIFEST, recorded_hashes
from tunesmith.storage.names import model_source, with_near_names
from tunesmith.text import nearest, quoted

__all__ = ["TOKENIZER_FILES", "ModelFiles", "locate"]

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model",
    "tokenizer.model", "spm.model",
)  # fmt: skip
"""Files of a tokenizer that transformers may read."""

_MAX_JSON_BYTES = 10_000_000
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files are.

    Attributes:
        name: as requested.
        folder: with config.json, safetensors and tokenizer files.
        revision: the commit, if it came from the Hub.
    """

    name: str
    folder: Path
    revision: str | None = None

    def config(self) -> dict[str, Any]:
        """Return the content of config.json, of which only model_type is checked.

        Raises:
            ModelError: there is none, or it cannot be read (M109).
        """
        path = self.folder / "config.json"
        try:
            config = read_json(path, max_bytes=_MAX_JSON_BYTES)
        except FileNotFoundError:
            raise ModelError.of(
                "M109",
                _("there is no config.json; this is not a model folder"),
                Place(str(self.folder)),
                fix=_("Name a folder that holds config.json, weights and tokenizer."),
            ) from None
        except UnreadableFile as error:
            raise ModelError.of(
                "M109",
                _("config.json cannot be read: {reason}").format(reason=error),
                Place(str(path)),
                fix=_("Fetch the model again, or choose another one."),
            ) from error
        if not isinstance(config.get("model_type"), str):
            fix = _("Fetch the model again, or choose another one.")
            raise ModelError.of(
                "M109", _("config.json has no model_type"), Place(str(path)), fix=fix
            )
        return config

    def library_settings(self) -> dict[str, Any]:
        """Return what sentence-transformers says of a model, under the key of config.json for it.

        Version 6 writes a file of its own, earlier ones write into config.json. Nothing without
        such a file, or if it cannot be read.
        """
        path = self.folder / "config_sentence_transformers.json"
        with suppress(OSError, UnreadableFile):
            settings = read_json(path, max_bytes=_MAX_JSON_BYTES)
            if settings.get("model_type") == "CrossEncoder":
                return {"sentence_transformers": settings}
        return {}

    def weights(self) -> list[Path]:
        """Return the safetensors files of the weights: one, or the sorted shards of the index.

        Raises:
            ModelError: there are none, or the index names anything but safetensors files in the
                same folder (M101).
        """
        single = self.folder / _WEIGHTS
        if os.path.lexists(single):
            return [single]
        index = self.folder / _INDEX
        try:
            shards = read_json(index, max_bytes=10 * _MAX_JSON_BYTES).get("weight_map")
        except FileNotFoundError:
            raise ModelError(_no_safetensors(self)) from None
        except UnreadableFile as error:
            raise ModelError(_bad_index(index, str(error))) from error
        if not isinstance(shards, dict) or not shards:
            raise ModelError(_bad_index(index, _("it has no weight_map")))
        names = list(shards.values())
        for name in names:
            if not _is_plain_safetensors(name):
                raise ModelError(
                    _bad_index(
                        index,
                        _("{name} is not a safetensors file of this folder").format(
                            name=quoted([name])
                        ),
                    )
                )
        return [self.folder / name for name in sorted(set(names))]

    def refuse_adapter(self) -> None:
        """Refuse a folder with an adapter, for which transformers would load further files.

        Raises:
            ModelError: there is an adapter_config.json (M112).
        """
        if os.path.lexists(self.folder / "adapter_config.json"):
            raise ModelError.of(
                "M112",
                _("it holds an adapter (adapter_config.json), which is not supported"),
                Place(self.name),
                fix=_(
                    "Merge the adapter into its base model with peft (merge_and_unload, then "
                    "save_pretrained) and name the result."
                ),
            )

    def fingerprint(self) -> dict[str, str]:
        """Return the sha256 of every file that is read, by name: configuration, weights, tokenizer.

        A file is hashed once per process, at about 2 GB/s. In a folder that Tunesmith wrote they
        are compared with its manifest.

        Raises:
            ModelError: a file cannot be read (M109), or the weights are not safetensors (M101).
            IntegrityError: a file differs from the manifest (C118).
        """
        present = [self.folder / name for name in TOKENIZER_FILES]
        paths = [
            self.folder / "config.json",
            self.folder / _INDEX,
            *self.weights(),
            *present,
        ]
        hashes = {}
        for path in paths:
            try:
                with open_regular(path) as file:
                    hashes[path.name] = sha256_once(file)
            except FileNotFoundError:
                continue  # an optional file
            except UnreadableFile as error:
                raise ModelError.of(
                    "M109",
                    _("it cannot be read: {reason}").format(reason=error),
                    Place(str(path)),
                    fix=_("Fetch the model again, or choose another one."),
                ) from error
        self._refuse_changed(hashes)
        return hashes

    def _refuse_changed(self, hashes: Mapping[str, str]) -> None:
        recorded = recorded_hashes(self.folder)
        changed = [name for name in recorded if hashes.get(name, recorded[name]) != recorded[name]]
        if changed:
            raise IntegrityError.of(
                "C118",
                _("{files}: not the content that was written").format(files=quoted(changed)),
                Place(str(self.folder)),
                fix=_(
                    "The files were damaged or edited. Restore them or train again; if the "
                    "change is yours, delete {manifest} in this folder."
                ).format(manifest=MANIFEST),
            )


def _is_plain_safetensors(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\:")
    )


def _bad_index(index: Path, reason: str) -> Problem:
    return Problem(
        "M101",
        _("its index of weights cannot be used: {reason}").format(reason=reason),
        Place(str(index)),
        fix=_("Only safetensors files next to the index are read. Choose another model."),
    )


def _no_safetensors(files: ModelFiles) -> Problem:
    pickled = sorted(p.name for p in files.folder.glob("*.bin"))
    only = _("only {names}").format(names=quoted(pickled))
    return Problem(
        "M101",
        _("it holds no weights in safetensors"),
        Place(files.name),
        evidence=(only,) if pickled else (),
        fix=_(
            "Pickled weights can run code and are never loaded. Choose a revision with "
            "safetensors; on the Hub many models have one in a pull request (refs/pr/1)."
        ),
    )


def locate(name: str, *, revision: str | None = None) -> ModelFiles:
    """Find a model: a local folder, a run, `embedded:mini`, or the Hub (`tunesmith.storage.names`).

    Raises:
        ModelError: there is no such model (M107), it has no safetensors (M101), its config.json
            cannot be read (M109), or it is an adapter (M112).
        RecipeError: it is a run without a finished model (C114).
        ResourceError: the Hub cannot be reached or requires a token.
    """
    if name.startswith("embedded:"):
        from tunesmith.models.embedded import embedded_folder

        return ModelFiles(name, embedded_folder(name))
    path = Path(model_source(name)).expanduser()
    if path.is_dir():
        folder = path / "model" if (path / "model" / "config.json").is_file() else path
        files = ModelFiles(name, folder)
    elif looks_like_a_file(name):
        raise ModelError(_no_such_folder(path))
    else:
        folder = _downloaded(name, revision)
        files = ModelFiles(name, folder, folder.name)
    files.refuse_adapter()
    files.config()
    files.weights()
    return files


def _downloaded(name: str, revision: str | None) -> Path:
    """Download a model from the Hub; an error also suggests runs and embedded models."""
    from tunesmith.models.embedded import NAMES

    try:
        return hub.download_model(name, revision=revision)
    except (ModelError, ResourceError) as error:
        raise with_near_names(error, name, NAMES) from error.__cause__


def _no_such_folder(path: Path) -> Problem:
    siblings = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    return Problem(
        "M107",
        _("there is no such model folder"),
        Place(str(path)),
        fix=_('Did you mean "{name}"?').format(name=path.parent / close[0]) if close else None,
    )
