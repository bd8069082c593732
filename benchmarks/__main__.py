"""All benchmarks in one table: `python -m benchmarks`."""

from benchmarks import bpe, generation, training
from benchmarks.measure import main

main(__doc__, training.rows, generation.rows, bpe.rows)
