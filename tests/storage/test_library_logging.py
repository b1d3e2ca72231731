from __future__ import annotations

import pytest

from tunesmith.storage.library_logging import quiet_datasets, quiet_transformers


def test_transformers_talks_again_afterwards() -> None:
    from transformers.utils import logging

    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    with pytest.raises(ZeroDivisionError), quiet_transformers():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
        _ = 1 / 0
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_datasets_talks_again_afterwards() -> None:
    import datasets

    before = datasets.are_progress_bars_disabled()
    with quiet_datasets():
        assert datasets.are_progress_bars_disabled()
    assert datasets.are_progress_bars_disabled() == before
