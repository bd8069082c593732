"""Other processors on this one: the mathematics libraries choose their code by the
processor, and can be told that it is an older one."""

import os

# What makes torch, MKL, oneDNN and OpenBLAS take this processor for another one. MKL
# heeds ENABLE_INSTRUCTIONS on Intel's processors alone, CBWR on all.
PROCESSORS = {
    "this": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "HASWELL",
    },
    "old": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "NEHALEM",
    },
    # Half old, half AVX2, as no computer is: its digits differ from those of all above.
    "mixed": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "NEHALEM",
    },
}
SURVEYED = ("this", "old", "avx2")  # what `make machines` runs
# What `make execute` stores the outputs of. `make test` runs the notebooks as this
# computer, at full speed, and so always on another processor.
EXECUTES = "mixed"


def environment(name, **more):
    """The environment of a process that is to run on the processor `name`."""
    return os.environ | PROCESSORS[name] | more
