"""What a finished run tells: comparisons, curves, errors, reports, benchmarks."""

from __future__ import annotations
