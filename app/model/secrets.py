"""What a name gives away: variables that hold secrets are not handed on to who has no need of them."""

from __future__ import annotations

import re
from typing import Final

_SECRET: Final = re.compile(
    r"(?:^|_)(?:TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASSPHRASE|CREDENTIALS?|(?:API|ACCESS|SECRET|PRIVATE|AUTH)_?KEY)(?:_|$)",
    re.IGNORECASE,
)


def names_a_secret(name: str) -> bool:
    """Whether an environment variable of that name holds a secret, as far as a name can tell: `BACKEND_SECRET_KEY`,
    `UV_PUBLISH_TOKEN`, `AWS_ACCESS_KEY_ID`."""
    return _SECRET.search(name) is not None
