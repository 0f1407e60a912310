"""OKX, API v5, spot, perpetual swaps and dated futures: https://www.okx.com/docs-v5/en/"""

from dccd.exchanges.okx.exchange import Okx

__all__ = ["Okx"]
