"""How much of the paper to make again."""

from dataclasses import dataclass, field

from cellstorm_lib.errors import SettingsError

FRAME_RATE_HZ = 20.0
#: The parts that are made by themselves, and what each shows.
PARTS = {
    "camera": "Table 1, Fig. 5 and 6: the phone's sensor measured, and its video of the dark.",
    "cell": "Fig. 1 and 2: one cell seen by the phone and by the emCCD.",
    "low_light": "Fig. 3: low light, before and after the network.",
    "letters": "Fig. 7: letters under strong compression, against the truth.",
    "times": "How long training and denoising take.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Frames of each film; the defaults are the paper's where it says so."""

    cell_frames: int = field(
        default=18_000, metadata={"about": "of the cell that phone and emCCD film (Fig. 1 and 2)"}
    )
    dim_frames: int = field(default=4_000, metadata={"about": "of the film in low light (Fig. 3)"})
    letter_frames: int = field(default=2_000, metadata={"about": "of the letters (Fig. 7)"})
    dark_frames: int = field(default=1_000, metadata={"about": "of the dark video (Fig. 6)"})
    raw_pictures: int = field(
        default=100, metadata={"about": "in each series of the photon transfer (Fig. 5)"}
    )
    timed_frames: int = field(
        default=3_000, metadata={"about": "that are denoised to see how long 15,000 take"}
    )
    recipe: str = field(
        default="default", metadata={"about": "how the network is trained whose training is timed"}
    )
    training_scenes: int = field(
        default=0, metadata={"about": "scenes to train on; 0: as many as the shipped network"}
    )

    def __post_init__(self) -> None:
        for name, fewest in (
            ("cell_frames", 100), ("dim_frames", 100), ("letter_frames", 100),
            ("dark_frames", 200), ("raw_pictures", 10), ("timed_frames", 10),
            ("training_scenes", 0),
        ):  # fmt: skip
            if getattr(self, name) < fewest:
                raise SettingsError(f"{name} must be at least {fewest}, got {getattr(self, name)}")


#: For a look in a few minutes, and for tests.
QUICK = PaperSettings(
    cell_frames=1_800, dim_frames=400, letter_frames=400, dark_frames=400, raw_pictures=30,
    timed_frames=200, recipe="demo", training_scenes=150,
)  # fmt: skip
