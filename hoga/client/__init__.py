"""What a Python consumer imports: `from hoga.client import Client`."""

from hoga.client.book import BookView, Level
from hoga.client.callbacks import OrderbookCallback
from hoga.client.client import Client
from hoga.client.streams import BookStream, MessageStream
from hoga.domain.phases import Phase
from hoga.domain.types import State

__all__ = ["BookStream", "BookView", "Client", "Level", "MessageStream", "OrderbookCallback", "Phase", "State"]
