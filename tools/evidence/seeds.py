"""Seeds that stand in code, moved: what was written for one is run under others."""

import random

import numpy
import torch

STEP = 1000  # run k of a notebook or claim adds k * STEP to every seed
_moved = {"by": 0}


def move_seeds(by):
    """From now on seed s means s + by, for torch, numpy and random."""
    if not hasattr(torch.manual_seed, "moves"):
        _patch()
    _moved["by"] = by


def _patch():
    def moving(function):
        def moved(seed=None, *rest):
            return function(None if seed is None else seed + _moved["by"], *rest)

        moved.moves = True
        return moved

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(seed + _moved["by"])

    class Random(random.Random):
        def __init__(self, seed=None):
            super().__init__(seed + _moved["by"] if isinstance(seed, int) else seed)

    torch.manual_seed = torch.random.manual_seed = moving(torch.manual_seed)
    torch.Generator = Generator
    numpy.random.seed = moving(numpy.random.seed)
    numpy.random.default_rng = moving(numpy.random.default_rng)
    random.seed, random.Random = moving(random.seed), Random
