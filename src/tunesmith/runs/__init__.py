"""The run: from a recipe to a folder that holds all of it, and back in after any stop."""

from __future__ import annotations
