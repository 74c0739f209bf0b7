"""What computes a network: torch everywhere, OpenVINO where it is installed and faster."""

from importlib.util import find_spec

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.devices import device_named
from cellstorm_lib.gan.engine import Engine
from cellstorm_lib.gan.engine_torch import TorchEngine
from cellstorm_lib.threads import processor_count

ENGINES = ("auto", "torch", "openvino", "openvino-int8")


def engine_named(
    name: str, checkpoint: Checkpoint, *, device: str = "auto", workers: int | None = None
) -> Engine:
    """Return what shall compute a network.

    Parameters
    ----------
    name : str
        ``torch``, ``openvino``, ``openvino-int8`` (faster, and a little less precise), or
        ``auto``: OpenVINO on a CPU where it is installed, else torch.
    checkpoint : Checkpoint
        The network.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``; OpenVINO only takes the CPU.
    workers : int, optional
        Threads; by default as many as this process may use.

    Raises
    ------
    SettingsError
        When there is no such engine or device, or it is not installed.
    """
    if name not in ENGINES:
        raise SettingsError(f"there is no engine {name!r}; there are {', '.join(ENGINES)}")
    if workers is not None and workers < 1:
        raise SettingsError(f"workers must be 1 or more, got {workers}")
    chosen = device_named(device)
    count = workers or processor_count()
    is_installed = find_spec("openvino") is not None
    wants_openvino = name.startswith("openvino")
    if wants_openvino and not is_installed:
        raise SettingsError(
            f"the engine {name} is not installed; install cellstorm[fast], or take --engine torch"
        )
    if wants_openvino and device not in ("auto", "cpu"):
        raise SettingsError(
            f"the engine {name} computes on the CPU, not on {device}; take --engine torch"
        )
    in_integers = name == "openvino-int8"
    if in_integers and checkpoint.recipe.architecture != "lean":
        raise SettingsError(
            "the engine openvino-int8 computes lean networks only; take --engine openvino"
        )
    if wants_openvino or (name == "auto" and is_installed and chosen.type == "cpu"):
        from cellstorm_lib.gan.engine_openvino import OpenvinoEngine  # noqa: PLC0415

        return OpenvinoEngine(checkpoint, workers=count, in_integers=in_integers)
    return TorchEngine(checkpoint, chosen, workers=count)
