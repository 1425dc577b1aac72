"""Processes that make synthetic patients side by side."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def pool(n_processes: int) -> ProcessPoolExecutor:
    """So many fresh processes, each computing on one core.

    Without that, each would start as many threads for a matrix product as there are cores, and these would wait for each other:
    on two busy cores a phantom took six times as long.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"))
