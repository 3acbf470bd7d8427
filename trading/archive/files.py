"""Files of arrays that are whole whenever they are there under their names."""

import fcntl
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIX = ".npz"
#: What reading a file raises that is not whole.
TORN = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


class Damaged(OSError):
    """A file of the archive that is not whole; its text names it."""


def save(path: Path, arrays: "Mapping[str, NDArray[Any]]") -> None:
    """Write a file that is whole whenever it is there under its name."""
    import numpy as np

    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else write into a folder meanwhile: what both add is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
