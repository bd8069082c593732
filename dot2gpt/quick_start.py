"""Imported before nbformat, which then loads in a tenth of the time.

jsonschema loads a grammar of web addresses for seconds, and no notebook needs it. Only
programs that read notebooks import this: others may want the grammar.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)
