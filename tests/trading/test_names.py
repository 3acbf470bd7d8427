"""The exchanges that are known by name are those of ccxt."""

import subprocess
import sys

import ccxt

from trading.exchanges import names


def test_the_names_are_ccxts_own() -> None:
    assert names.known() == frozenset(ccxt.exchanges)


def test_asking_for_the_names_does_not_load_ccxt() -> None:
    program = (
        "import sys; from trading.exchanges import names; assert 'binance' in names.known();"
        "sys.exit('ccxt' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
