"""Which exchanges there are, told without loading any of them."""

from functools import cache
from importlib.util import find_spec
from pkgutil import iter_modules


@cache
def known() -> frozenset[str]:
    """Return the ids of the exchanges that ccxt knows.

    Read from the names of its files, one for each exchange: loading ccxt takes half a second and
    40 MB, which no web process should spend on a form.
    """
    spec = find_spec("ccxt")
    folders = spec.submodule_search_locations if spec else None
    return frozenset(file.name for file in iter_modules(folders or []) if not file.ispkg)
