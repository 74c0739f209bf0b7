"""Small films of an empty field by a simulated phone whose numbers are known."""

from dataclasses import replace
from pathlib import Path

from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.pipeline.phone_model import CodecModel, PhoneModel, phone_of
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene

MODEL = PhoneModel(
    level=6.0, shading_levels=2.0, glow_levels=4.0, glow_width=0.3, read_variance=1.2,
    shot_variance=0.4, correlation_x=0.35, correlation_y=0.5, correlation_time=0.2,
    pattern_levels=0.8,
)  # fmt: skip
CODEC = CodecModel(
    codec="h264", gop_frames=16, bits_per_px=0.6, qp=12.0, key_qp=9.0, start_qp=10.0,
    is_full_range=True,
)  # fmt: skip


def still_film(
    folder: Path, model: PhoneModel = MODEL, codec: CodecModel | None = CODEC, *, seed=5,
    frame_count=24, size=(192, 144), photons=0.0, phone: PhoneSettings | None = None,
) -> Path:  # fmt: skip
    """Film an empty field, and return the movie; without a codec, the frames as a stack."""
    phone = phone or phone_of(model, codec or CODEC, name="known")
    scene = Scene(
        name=f"still{seed}", seed=seed, frame_count=frame_count, frame_rate_hz=30.0,
        field=FieldSettings(width_px=size[0], height_px=size[1]), structure=None,
        background=BackgroundSettings(photons=photons, structure_share=0.0),
        camera=phone.camera, codec=phone.codec if codec else None,
    )  # fmt: skip
    return film_scene(scene, folder, stacks=()).movie


def changed(**numbers: float) -> PhoneModel:
    """Return the known phone with other numbers."""
    return replace(MODEL, **numbers)
