"""The assets of the synthetic market: real names with plausible prices first, then invented ones.

Turnovers fall over five orders of magnitude, so that a universe filter has something to choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

KRW_PER_USD = 1465.0


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    korean: str
    english: str
    usd: float
    turnover_usd: float
    """Turnover of 24 hours on the largest exchange."""


_REAL = """
BTC 비트코인 Bitcoin 78871 18e9|ETH 이더리움 Ethereum 2954 9e9|XRP 엑스알피(리플) XRP 1.853 3.1e9
SOL 솔라나 Solana 132.4 3e9|DOGE 도지코인 Dogecoin 0.14231 1.1e9|SHIB 시바이누 Shiba_Inu 0.00000891 210e6
USDT 테더 Tether 1.0 900e6|ADA 에이다 Cardano 0.4187 420e6|LINK 체인링크 Chainlink 12.93 390e6
BNB 비앤비 BNB 861.2 1.4e9|TRX 트론 TRON 0.2814 330e6|AVAX 아발란체 Avalanche 13.47 280e6
SUI 수이 Sui 1.534 510e6|PEPE 페페 Pepe 0.00000447 260e6|DOT 폴카닷 Polkadot 2.113 140e6
LTC 라이트코인 Litecoin 83.51 310e6|BCH 비트코인캐시 Bitcoin_Cash 545.3 230e6|NEAR 니어프로토콜 NEAR 1.672 160e6
UNI 유니스왑 Uniswap 5.411 150e6|APT 앱토스 Aptos 1.893 120e6|ICP 인터넷컴퓨터 Internet_Computer 3.312 90e6
ETC 이더리움클래식 Ethereum_Classic 13.02 85e6|FIL 파일코인 Filecoin 1.511 95e6
ARB 아비트럼 Arbitrum 0.2078 110e6|OP 옵티미즘 Optimism 0.3121 70e6|ATOM 코스모스 Cosmos 2.212 45e6
XLM 스텔라루멘 Stellar 0.2483 120e6|HBAR 헤데라 Hedera 0.1302 130e6|AAVE 에이브 Aave 171.6 140e6
SEI 세이 Sei 0.1311 48e6|STX 스택스 Stacks 0.3012 22e6|INJ 인젝티브 Injective 5.123 40e6
TIA 셀레스티아 Celestia 0.5833 38e6|ALGO 알고랜드 Algorand 0.1327 28e6|SAND 샌드박스 Sandbox 0.1471 18e6
MANA 디센트럴랜드 Decentraland 0.1568 12e6|CHZ 칠리즈 Chiliz 0.02911 21e6|BLUR 블러 Blur 0.03322 9e6
STRK 스타크넷 Starknet 0.1043 14e6|WAVES 웨이브 Waves 0.7214 3e6|BTT 비트토렌트 BitTorrent 0.000000432 2.2e6
XEC 이캐시 eCash 0.00001207 1.4e6
"""


def _parse(line: str) -> Asset:
    name, korean, english, usd, turnover = line.split()
    return Asset(name, korean, english.replace("_", " "), float(usd), float(turnover))


REAL: tuple[Asset, ...] = tuple(_parse(part) for line in _REAL.strip().splitlines() for part in line.split("|"))
CHINESE = Asset("币安人生", "바이낸스라이프", "Binance Life", 0.1187, 60e6)
"""Symbols outside A-Z exist on Binance."""


def invented(count: int, seed: int) -> list[Asset]:
    """More assets than the real world has names for; equal for equal seeds, a longer list extends a shorter one."""
    dice = Random(f"{seed}:names")
    used = {asset.name for asset in REAL} | {"KRW", "USDC"}
    found: list[Asset] = []
    while len(found) < count:
        syllables = [dice.choice("BCDFGHJKLMNPRSTVWZ") + dice.choice("AEIOU") for _ in range(dice.choice((2, 2, 3)))]
        name = "".join(syllables) + dice.choice(("", "", "N", "X", "R"))
        price = 10 ** dice.uniform(-4.5, 2.0)
        turnover = 40e6 * 10 ** -dice.uniform(0, 3.5)
        if name in used:
            continue
        used.add(name)
        found.append(Asset(name, f"{name}코인", name.title(), price, turnover))
    return found
