"""What grading one submission may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one submission.

    cell: seconds that one cell of the learner's may take. call: seconds that a call of
    a test's may take. test: seconds of a test cell. total: seconds of all together.
    output: bytes that one cell may show. memory: bytes, all processes of the sandbox.
    restarts: times that a sandbox is made again after a cell that broke it.
    """

    cell: float = 30
    call: float = 15
    test: float = 60
    total: float = 180
    output: int = 1 << 20
    memory: int = 2 << 30
    restarts: int = 3
