"""The errors a caller may want to tell apart.

Every message is one sentence or two that names the file or setting, says what was found,
what was expected and what to do. The command line prints it as it stands.
"""


class CellstormError(Exception):
    """Something about the input makes the whole call meaningless."""


class RecordingError(CellstormError):
    """A recording cannot be opened, decoded or trusted."""


class CalibrationError(CellstormError):
    """A camera calibration is impossible, or does not belong to the data."""


class TableError(CellstormError):
    """A localization table lacks what is needed, or contradicts itself."""


class SettingsError(CellstormError):
    """A setting is out of its range."""


class CheckpointError(CellstormError):
    """A trained network cannot be loaded or does not fit the data."""


class ExportError(CellstormError):
    """A result cannot be written where or as it was asked for."""
