"""The drop-in Trainer: scripts written for transformers' Trainer, on the one training loop."""

from __future__ import annotations
