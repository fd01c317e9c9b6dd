"""Makes connectors by exchange code, and keeps those it has made.

`ExchangeConnectorFactory().create_connector("upbit", connection_manager)`
"""

from __future__ import annotations

import logging

from hoga.exchanges import registry
from hoga.runtime.config import Settings, load_settings
from services.ingest.connector import ExchangeConnector
from services.ingest.interface import ConnectionManager

log = logging.getLogger(__name__)


class ExchangeConnectorFactory:
    """One connector per exchange, so that the exchange's limits are kept in one place."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Without `settings` they are read as a service reads them."""
        self._settings = settings
        self._connectors: dict[str, ExchangeConnector] = {}

    def create_connector(
        self, exchange_code: str, connection_manager: ConnectionManager | None = None
    ) -> ExchangeConnector:
        """The connector of an exchange, made on the first call. ConfigError names the known codes."""
        connector = self._connectors.get(exchange_code)
        if connector is None:
            exchange = registry.get(exchange_code)
            if self._settings is None:
                self._settings = load_settings()
            connector = ExchangeConnector(exchange, self._settings, connection_manager=connection_manager)
            self._connectors[exchange_code] = connector
            log.info("%s (%s) connector created", exchange.name, exchange.korean_name)
        elif connection_manager is not None:
            connector.connection_manager = connection_manager
        return connector

    def get_connector(self, exchange_code: str) -> ExchangeConnector | None:
        """The connector that was made for an exchange, None where there is none yet."""
        return self._connectors.get(exchange_code)

    def get_supported_exchanges(self) -> list[str]:
        return registry.supported()
