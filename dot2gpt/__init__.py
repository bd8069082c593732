"""The library that the book *From X·Xᵀ to GPT* builds: one module per chapter."""

import sys

# jsonschema loads a grammar of web addresses for seconds; no notebook needs it.
sys.modules.setdefault("rfc3987_syntax", None)
