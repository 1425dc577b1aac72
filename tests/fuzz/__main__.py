"""`python -m tests.fuzz --files 10000 --seed 7`: the fuzz test with as many mutated files as asked."""

import argparse
import os
import sys

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    os.environ.update(HIPAPP_FUZZ_FILES=str(asked.files), HIPAPP_FUZZ_SEED=str(asked.seed))
    return int(pytest.main(["-q", "-s", "-p", "no:cacheprovider", "tests/fuzz/test_fuzz.py"]))


if __name__ == "__main__":
    sys.exit(main())
