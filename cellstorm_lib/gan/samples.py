"""The same few frames of a set of pairs, each time: film, what a network makes of it, truth."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.batches import usable_frames
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.engine import Frames
from cellstorm_lib.pairs.pair_set import PairSet


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One frame three ways, in photoelectrons.

    Attributes
    ----------
    origin : str
        Scene or recording it comes from.
    film_e : (Y, X) float32
        As filmed, with background and noise.
    made_e, light_e : (Y, X) float32
        Light of molecules: what the network made of the film, and the truth.
    """

    origin: str
    film_e: Frames
    made_e: Frames
    light_e: Frames


def fixed_samples(pairs: PairSet, denoiser: Denoiser, *, count: int = 4) -> tuple[Sample, ...]:
    """Return samples of frames that were not trained on; which ones depends on the pairs alone.

    Parameters
    ----------
    pairs : PairSet
        Its clips for validation and test are shown.
    denoiser : Denoiser
        The network to be looked at.
    count : int
        Clips, spread over the set; of each the usable frame with the most light.

    Raises
    ------
    CheckpointError
        When there is no frame to show.
    """
    shown = pairs.part(pairs.split != "train")
    showable = usable_frames(shown, denoiser.reach)
    clips = np.flatnonzero(showable.any(axis=1))
    if not len(clips):
        raise CheckpointError("the pairs hold no frame for testing or validation that may be shown")
    chosen = np.unique(np.linspace(0, len(clips) - 1, count).round().astype(int))
    return tuple(_sample(shown, int(clip), showable[clip], denoiser) for clip in clips[chosen])


def _sample(
    pairs: PairSet, clip: int, showable: npt.NDArray[np.bool_], denoiser: Denoiser
) -> Sample:
    """Return the sample of one clip."""
    reach = denoiser.reach
    light = pairs.light_e[clip].astype(np.float32)
    frame = int(np.argmax(np.where(showable, light.sum(axis=(1, 2)), -1.0)))
    film = pairs.filmed[clip, frame - reach : frame + reach + 1].astype(np.float32)
    film_e = (film - pairs.offset_adu[clip]) * pairs.gain_e_per_adu[clip]
    return Sample(
        origin=str(pairs.origin[clip]),
        film_e=film_e[reach],
        made_e=denoiser.light(film_e)[0],
        light_e=light[frame],
    )
