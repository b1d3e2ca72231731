"""What training shows: bars, plain lines, tables, notebooks."""

from __future__ import annotations
