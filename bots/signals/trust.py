"""Who may signal: the secret in the address, or a signature under it."""

import hashlib
import hmac

from bots.models import Hook

PREFIX = "sha256="


def is_trusted(hook: Hook, body: bytes, *, secret: str, signature: str) -> bool:
    """Whether a message came from somebody who knows the hook's secret.

    `secret`: from the address. `signature`: `sha256=` and the HMAC-SHA256 of the body in
    hexadecimal digits, from the header X-Signature. A secret that cannot be read trusts nobody.
    """
    own = str(hook.secret or "")
    if not own:
        return False
    if secret:
        return hmac.compare_digest(secret.encode(), own.encode())
    told = signature.strip().removeprefix(PREFIX).lower()
    wanted = hmac.new(own.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(told.encode(), wanted.encode())
