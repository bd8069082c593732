"""Hostile submissions: what each does, what it deserves, and that it works elsewhere.

`CASES` holds them all, in seven families. `naive.run` grades one without any defence.
"""

from tests.hostile import broken, denial, doors, forgery, network, tampering, theft

FAMILIES = {
    "forgery": forgery.CASES,
    "theft": theft.CASES,
    "tampering": tampering.CASES,
    "denial": denial.CASES,
    "network": network.CASES,
    "doors": doors.CASES,
    "broken": broken.CASES,
}
CASES = [case for cases in FAMILIES.values() for case in cases]
