"""Lets clients written for an older Python be installed and run unchanged by the one at hand (3.11 at most).

`re` refuses inline flags that are not at the start of a pattern since 3.11, `base64.encodestring` went with 3.9, and
some source archives lack the README that their setup script reads. Put this directory on PYTHONPATH for such a client.
"""

import base64
import codecs
import io
import re

_compile, _open = re.compile, codecs.open


def _compile_with_flags_anywhere(pattern, flags=0):
    if isinstance(pattern, str) and "(?i)" in pattern:
        pattern, flags = pattern.replace("(?i)", ""), flags | re.IGNORECASE
    return _compile(pattern, flags)


def _open_even_without_readme(name, *rest, **more):
    try:
        return _open(name, *rest, **more)
    except FileNotFoundError:
        if str(name).endswith("README.md"):
            return io.StringIO("")
        raise


re.compile = _compile_with_flags_anywhere
codecs.open = _open_even_without_readme
if not hasattr(base64, "encodestring"):
    base64.encodestring = base64.encodebytes
