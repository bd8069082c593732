"""The autograder: judges what strangers hand in, in a sandbox, many at a time."""

import sys

# jsonschema loads a grammar of web addresses for a second; no notebook needs it.
sys.modules.setdefault("rfc3987_syntax", None)
