"""Record the golden runs again; the docstring of `tests.golden` says when that is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.golden import RECORDED, read, record, unequal_bits, write


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = record(Path(folder))
    if RECORDED.is_file() and read()[1].keys() == runs.keys():
        changed = unequal_bits(read()[1], runs)
        print("\n".join(changed) or "The same bits as before.")
        if changed:
            print("Explain in docs/decisions why these numbers changed.")
    write(runs)
    print(f"{RECORDED} is written.")


if __name__ == "__main__":  # processes that are forked import it too
    main()
