"""All benchmarks in one table: `python -m benchmarks`."""

from benchmarks import bpe, generation, page, training
from benchmarks.measure import main

main(__doc__, training.rows, generation.rows, page.rows, bpe.rows)
