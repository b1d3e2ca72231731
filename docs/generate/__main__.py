"""`python -m docs.generate`: write the reference; with `--check` only report what is outdated."""

from __future__ import annotations

import argparse
import sys

from docs.generate import DOCS, errors, outdated, write
from docs.generate.codes import package_codes


def main() -> int:
    """Write or check the pages, and report codes without an explanation."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if outdated")
    is_check = parser.parse_args().check
    faults = errors.faults(package_codes())
    for fault in faults:
        print(fault)
    paths = outdated() if is_check else write()
    for path in paths:
        print(f"{path.relative_to(DOCS.parent)}: {'outdated' if is_check else 'written'}")
    return 1 if faults or (is_check and paths) else 0


if __name__ == "__main__":
    sys.exit(main())
