"""Networks that undo what camera and codec did: training, checkpoints, denoising."""

from pathlib import Path

#: The network that comes with the program.
SHIPPED = Path(__file__).parent / "models" / "champion.safetensors"
