"""Hostile submissions: what each does, what it deserves, and that it works elsewhere.

`CASES` holds them all, in six families. `naive.run` grades one without any defence.
"""

from tests.hostile import broken, denial, forgery, network, tampering, theft

FAMILIES = {
    "forgery": forgery.CASES,
    "theft": theft.CASES,
    "tampering": tampering.CASES,
    "denial": denial.CASES,
    "network": network.CASES,
    "broken": broken.CASES,
}
CASES = [case for cases in FAMILIES.values() for case in cases]
