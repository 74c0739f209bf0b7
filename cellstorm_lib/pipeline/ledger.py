"""What each result of one recording was made from, noted while `process_recording` works."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cellstorm_lib.pipeline.lineage import Record, record_of
from cellstorm_lib.pipeline.lineage_files import LINEAGE, Note
from cellstorm_lib.tables import Localizations


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The records of one recording, made in the order of the work.

    Attributes
    ----------
    recording : str
        File name.
    inputs : mapping of str to str
        Film, calibration, settings and, where frames are denoised, the model.
    records : dict of str to (mapping of str to str)
        What was noted so far, by result.
    """

    recording: str
    inputs: Mapping[str, str]
    records: dict[str, Record] = field(default_factory=dict)

    def note(self, result: str) -> Note:
        """Note a result, and return what to write into its file."""
        self.records[result] = record_of(result, self.inputs, self.records)
        return Note(result=result, recording=self.recording, made_from=self.records[result])

    def noted(self, table: Localizations, result: str) -> Localizations:
        """Return a table that says what it was made from."""
        return table.with_provenance(**{LINEAGE: self.note(result).plain()})
