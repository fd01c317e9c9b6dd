"""Kraken's many names for one market, and the one that is the native id here: the websocket v2 symbol, "BTC/USD".

| where | spelling |
|---|---|
| websocket v2 | BTC/USD, DOGE/USD |
| websocket v1, `wsname` of AssetPairs | XBT/USD, XDG/USD |
| REST `altname` | XBTUSD, XDGUSD |
| REST keys | XXBTZUSD where both have an old code, the altname elsewhere; BTC/USD with `assetVersion=1` |

Rules:
1. a name with a "/" is split there and each half looked up in `hoga.domain.aliases`; nothing else is cut;
2. a REST key without a "/" (only in recordings and old answers) is two old codes, or ends in a known quote, which is
   right for every pair of the recorded list; instruments never come that way, they have a `wsname`.
"""

from __future__ import annotations

from hoga.domain.aliases import ALIASES

OLD_CODES = {
    "XETC": "ETC", "XETH": "ETH", "XLTC": "LTC", "XMLN": "MLN", "XREP": "REP", "XXBT": "BTC", "XXDG": "DOGE",
    "XXLM": "XLM", "XXMR": "XMR", "XXRP": "XRP", "XZEC": "ZEC", "ZAUD": "AUD", "ZCAD": "CAD", "ZEUR": "EUR",
    "ZGBP": "GBP", "ZJPY": "JPY", "ZUSD": "USD",
}  # fmt: skip
"""Codes with a class letter; assets listed since 2018 have none."""
_ODD_KEYS = {"USDTZUSD": "USDT/USD"}
_QUOTES = (
    "PYUSD", "RLUSD", "USDG", "USDT", "USDC", "USDQ", "USDR", "EURC", "EURQ", "EURR", "USD", "EUR", "GBP", "JPY",
    "CAD", "AUD", "CHF", "AED", "DAI", "XBT", "BTC", "ETH", "DOT",
)  # fmt: skip


def native_of(pair: str) -> str:
    """A pair with a "/" as websocket v2 spells it: native_of("XBT/USD") == "BTC/USD"."""
    base, separator, quote = pair.partition("/")
    return f"{ALIASES.get(base, base)}{separator}{ALIASES.get(quote, quote)}"


def native_of_key(key: str) -> str:
    """The native id behind any REST name of a pair; the name itself where it cannot be read (rule 2)."""
    if "/" in key:
        return native_of(key)
    if key in _ODD_KEYS:
        return _ODD_KEYS[key]
    base, quote = OLD_CODES.get(key[:4]), OLD_CODES.get(key[4:])
    if base and quote:
        return f"{base}/{quote}"
    ending = next((known for known in _QUOTES if key.endswith(known) and len(key) > len(known)), None)
    return native_of(f"{key.removesuffix(ending)}/{ending}") if ending else key
