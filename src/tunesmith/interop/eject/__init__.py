"""Ejecting: a run as a plain script of torch, transformers and datasets, with the same numbers."""
