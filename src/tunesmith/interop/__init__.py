"""Everything in the shapes of Hugging Face: datasets, Trainer, plain scripts."""

from __future__ import annotations
