"""A network as an ONNX file, for phones and programs that know nothing of ours."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from cellstorm_lib.errors import ExportError
from cellstorm_lib.files import written_whole
from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.program import DenoiserProgram, example_frames

#: Names of what goes in and comes out.
FRAMES, LIGHT = "frames_e", "light_e"
_OPSET = 20


def write_onnx(checkpoint: Checkpoint, path: Path) -> None:
    """Write a network with everything around it as one ONNX file.

    Parameters
    ----------
    checkpoint : Checkpoint
        Network and weights.
    path : Path
        The file to write, ending in ``.onnx``. Its input ``frames_e`` are (B, C, Y, X)
        photoelectrons, background included, of any B, Y and X; its output ``light_e`` are
        (B, 1, Y, X) photoelectrons of molecules in the middle one of the C frames.

    Raises
    ------
    ExportError
        When onnx is not installed, the ending is another one, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ExportError(f"{path} must end in .onnx, so that the format is known")
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise ExportError("ONNX files need onnx and onnxscript; install cellstorm[onnx]")
    auto = torch.export.Dim.AUTO
    frames_e = torch.from_numpy(example_frames(checkpoint))
    with written_whole(path) as temporary, _quietly():
        program = torch.onnx.export(
            DenoiserProgram(checkpoint).eval(),
            (frames_e,),
            dynamo=True,
            dynamic_shapes=({0: auto, 2: auto, 3: auto},),
            input_names=[FRAMES],
            output_names=[LIGHT],
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise ExportError(f"cannot write {path}: torch made no program of the network")
        program.save(str(temporary), external_data=False)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the exporter has to say of itself from being printed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
