"""Files and folders that are whole or absent, locks, and the Hugging Face Hub."""

from __future__ import annotations
