"""The first start writes `.env`, with secrets that nobody else has."""

import base64
import os
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

TEMPLATE = """\
# Written once, by the first `make run`; .env.example names every setting.
# Keep a copy of FERNET_KEYS in a safe place: without it no stored exchange key can be read again.
SECRET_KEY={secret_key}
FERNET_KEYS={fernet_key}
"""


def fernet_key() -> str:
    """Return a new Fernet key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def ensure_env(path: Path | None = None) -> bool:
    """Write the file of settings with new secrets, readable by its owner only, where it is missing.

    `path` is by default what `ENV_FILE` names, else `.env` beside manage.py; an empty `ENV_FILE`
    means that there is to be no such file. Return whether the file was written.
    """
    if path is None:
        name = os.environ.get("ENV_FILE", str(ROOT / ".env"))
        if not name:
            return False
        path = Path(name)
    text = TEMPLATE.format(secret_key=secrets.token_urlsafe(48), fernet_key=fernet_key())
    try:
        # O_EXCL: of two first starts at once only one writes, and no file is ever overwritten.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"Wrote {path} with new secrets.", flush=True)
    return True


if __name__ == "__main__":
    ensure_env()
