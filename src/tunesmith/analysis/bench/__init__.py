"""The benchmark: the same training by transformers' Trainer and by tunesmith, side by side."""

from __future__ import annotations
