"""What a network is and how it is trained: named presets, every number a setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cellstorm_lib.errors import SettingsError

#: The codec's macroblock; samples begin on this grid.
GRID_PX = 16

_RANGES = (
    (("steps", "batch", "first_filters", "depth"), 1, 10_000_000),
    (("learning_rate", "input_scale_e"), 1e-9, 1e6),
    (("share_with_light", "absolute_after", "averaging", "beta1"), 0, 1),
    (("adversarial_weight", "pixel_weight", "camera_error", "offset_error_e"), 0, 1e9),
)

Loss = Literal["squared", "relative", "absolute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Network and training; the default is the best that was measured (benchmarks/RESULTS.md)."""

    name: str = field(default="default", metadata={"about": "what to call it"})
    architecture: Literal["lean", "unet"] = field(
        default="lean", metadata={"about": "lean residual network, or the paper's U-Net"}
    )
    frames: int = field(
        default=3, metadata={"about": "consecutive frames seen, odd; the middle one is denoised"}
    )
    first_filters: int = field(
        default=16, metadata={"about": "filters of the first layer; the deeper ones follow"}
    )
    depth: int = field(default=8, metadata={"about": "halvings of the U-Net"})
    input_scale_e: float = field(
        default=16.0, metadata={"about": "photoelectrons that become 1 in the network"}
    )
    loss: Loss = field(
        default="squared",
        metadata={"about": "squared, squared relative to the light, or absolute difference"},
    )
    absolute_after: float = field(
        default=0.2,
        metadata={
            "about": "share of the steps after which the absolute difference takes over; at once "
            "it can end in an all-black picture"
        },
    )
    pixel_weight: float = field(
        default=1.0, metadata={"about": "weight of the difference beside the adversary"}
    )
    adversarial_weight: float = field(
        default=0.0, metadata={"about": "weight of the adversary; 0 trains without one"}
    )
    learning_rate: float = field(default=2e-3, metadata={"about": "largest step of Adam"})
    beta1: float = field(default=0.9, metadata={"about": "Adam's memory of the gradient"})
    schedule: Literal["cosine", "constant"] = field(
        default="cosine", metadata={"about": "how the learning rate ends"}
    )
    averaging: float = field(
        default=0.998,
        metadata={"about": "weights are averaged over the last steps: memory per step, 0 for none"},
    )
    steps: int = field(default=16_000, metadata={"about": "updates of the weights"})
    batch: int = field(default=32, metadata={"about": "samples per update"})
    crop_px: int = field(default=64, metadata={"about": "side of a sample, a multiple of 16"})
    share_with_light: float = field(
        default=0.8, metadata={"about": "share of the samples that hold a molecule"}
    )
    camera_error: float = field(
        default=0.15,
        metadata={"about": "spread of the gain that the network is told, for it is never exact"},
    )
    offset_error_e: float = field(
        default=1.5,
        metadata={"about": "spread of the offset that it is told, photoelectrons"},
    )
    half_precision: bool = field(
        default=True, metadata={"about": "bfloat16 where the processor is faster with it"}
    )
    seed: int = field(default=0, metadata={"about": "number that decides all chance"})

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frames % 2 == 0:
            raise SettingsError(f"frames must be odd, as 1, 3 or 5, got {self.frames}")
        if self.crop_px < self.grid_px or self.crop_px % self.grid_px:
            raise SettingsError(
                f"crop_px must be a multiple of {self.grid_px} for this network, got {self.crop_px}"
            )
        for names, low, high in _RANGES:
            for name in names:
                value = getattr(self, name)
                if not low <= value <= high:
                    raise SettingsError(f"{name} must be from {low:g} to {high:g}, got {value}")

    @property
    def grid_px(self) -> int:
        """Sides of what the network works on are multiples of this."""
        return 2**self.depth if self.architecture == "unet" else GRID_PX


#: Recipes that go on with a trained network; from nothing they would end in a black picture.
BEGIN_TRAINED = frozenset({"fine-tune"})
#: The recipes that come with the program, by name.
RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(),
    "demo": Recipe(name="demo", steps=900),
    # begins with a trained network (train(start=...)) and pairs of one camera that is known
    "fine-tune": Recipe(
        name="fine-tune",
        learning_rate=1e-3,
        absolute_after=0.0,
        steps=3000,
        camera_error=0.05,
        offset_error_e=0.5,
    ),
    "paper": Recipe(
        # arXiv 1804.06244, Supplement C; the weights 2 and 1000 are those of its published code.
        name="paper",
        architecture="unet",
        frames=1,
        first_filters=32,
        depth=8,
        loss="absolute",
        absolute_after=0.0,
        pixel_weight=1000.0,
        adversarial_weight=2.0,
        learning_rate=1e-4,
        beta1=0.25,
        schedule="constant",
        averaging=0.0,
        steps=125_000,
        batch=4,
        crop_px=256,
        share_with_light=0.0,
        camera_error=0.0,
        offset_error_e=0.0,
        half_precision=False,
    ),
}


def recipe_named(name: str) -> Recipe:
    """Return a recipe that comes with the program.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    if name not in RECIPES:
        raise SettingsError(f"there is no recipe {name!r}; there are {sorted(RECIPES)}")
    return RECIPES[name]
