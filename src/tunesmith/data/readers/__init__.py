"""Readers: one module per file format; each turns a file into rows."""

from __future__ import annotations
