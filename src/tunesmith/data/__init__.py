"""Data: sources to rows, rows to roles, checks and splits, rows to prepared numbers."""

from __future__ import annotations
