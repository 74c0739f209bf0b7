"""What each result of one recording was made from, noted while `process_recording` works."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.lineage import (
    Record,
    calibration_input,
    film_input,
    record_of,
    settings_inputs,
)
from cellstorm_lib.pipeline.lineage_files import Note
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.recording import RecordingFacts
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


def ledger_of(
    facts: RecordingFacts,
    camera: CameraCalibration | None,
    choice: RecordingChoice,
    settings: PipelineSettings,
    *,
    model: str | None = None,
) -> Ledger:
    """Return a ledger for a recording that is in no project.

    Parameters
    ----------
    facts : RecordingFacts
        Of the recording.
    camera : CameraCalibration or None
        As it was given; None when it is estimated from the recording.
    choice : RecordingChoice
        Pixel size, and whether the flat field is the recording's own.
    settings : PipelineSettings
        Of every step.
    model : str, optional
        The network, as `lineage.model_input` names it.
    """
    roi = facts.roi
    region = f"{roi.width_px}x{roi.height_px}+{roi.x_px}+{roi.y_px}"
    inputs = {
        "film": film_input(facts.name, facts.digest, region),
        "calibration": calibration_input(camera, choice),
        **settings_inputs(settings),
        **({} if model is None else {"model": model}),
    }
    ledger = Ledger(recording=facts.name, inputs=inputs)
    ledger.note("recording")
    return ledger
