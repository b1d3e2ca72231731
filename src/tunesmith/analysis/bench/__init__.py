"""The benchmark: the same training by transformers' Trainer and by tunesmith."""

from __future__ import annotations
