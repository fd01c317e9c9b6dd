"""Bybit (V5 API): spot, and linear contracts (perpetual and dated)."""
