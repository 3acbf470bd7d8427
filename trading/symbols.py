"""What a market's name says: `BTC/USDT` on the spot market, `BTC/USDT:USDT` a perpetual."""


def quote_of(symbol: str) -> str:
    """Return the quote currency, in which prices, profit and loss are; empty without a slash."""
    return symbol.partition("/")[2].partition(":")[0]
