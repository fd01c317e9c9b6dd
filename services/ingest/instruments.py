"""What the exchange lists, told to the others: at every change, and again and again for whoever comes late.

`ob.v1.instruments.<exchange>`: every listed market, trading or not. `revision` rises with every change; `time_ns` is
when the exchange last answered, so that a list that cannot be refreshed shows its age.
"""

from __future__ import annotations

from collections.abc import Iterable

from hoga.domain.types import Instrument
from hoga.wire import pb, subjects
from services.ingest.directory import Directory
from services.ingest.lane import Publish

STREAM_MAX_BYTES = 16 << 20
PERIOD_S = 30.0


class Instruments:
    """The list of one exchange. `update` after every fetch; `publish` whenever it may have been missed."""

    def __init__(self, code: str, instance: str, publish: Publish) -> None:
        self._code = code
        self._instance = instance
        self._publish = publish
        self._known: dict[str, Instrument] = {}
        self._revision = 0
        self._constant = b""
        self._time_ns = 0

    def update(self, directory: Directory) -> None:
        """Takes the list as it is now, and publishes it where it has changed."""
        self._time_ns = directory.fetched_ns
        if directory.symbols.by_native == self._known:
            return
        self._known = directory.symbols.by_native
        self._revision += 1
        self._constant = pb.InstrumentList(
            exchange=self._code,
            revision=self._revision,
            instance=self._instance,
            instruments=_messages(self._known.values()),
        ).SerializeToString()
        self.publish()

    def publish(self) -> None:
        """The list as it stands; nothing before the first."""
        if self._revision:
            varying = pb.InstrumentList(time_ns=self._time_ns).SerializeToString()
            self._publish(subjects.instruments(self._code), self._constant + varying)


def _messages(instruments: Iterable[Instrument]) -> list[pb.Instrument]:
    fields = [field.name for field in pb.Instrument.DESCRIPTOR.fields]
    return [pb.Instrument(**{name: getattr(instrument, name) for name in fields}) for instrument in instruments]
