"""How probably each spot is a molecule, how far it may be off, and how much of its light is left.

A video codec leaves spots where there are none, moves those there are, and takes some of their
light; the pixels of one frame alone do not tell. Nor do those of a denoised frame tell how much
its network believed in a spot. A small network that was trained on simulated films, of which the
truth is known, says so from the traits of each spot: one for videos, one for denoised frames. What
it says is added to the fit; nothing of the fit is lost.

Its layers are ``tanh(x @ weight + bias)``, the last one without tanh. The three numbers that come
out are the log odds of being a molecule, the logarithm of (error / Cramer-Rao bound), and that of
(true / fitted photons).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from safetensors import safe_open
from safetensors.numpy import save_file

from cellstorm_lib.errors import CheckpointError, refusing
from cellstorm_lib.files import written_whole
from cellstorm_lib.localize.denoised_traits import DENOISED_TRAITS
from cellstorm_lib.localize.traits import TRAITS, Kind

#: Traits are not believed beyond this many standard deviations of those it was trained with.
_MOST = 5.0
#: What the spots of each kind of frames are judged by.
_TRAITS: Mapping[Kind, tuple[str, ...]] = {"film": TRAITS, "denoised": DENOISED_TRAITS}
_HOME = Path(__file__).parent / "appraisers"
#: The networks that come with the program.
SHIPPED: Mapping[Kind, Path] = {kind: _HOME / f"{kind}.safetensors" for kind in _TRAITS}
#: No factor is believed beyond these.
_ERROR_FACTORS, _PHOTON_FACTORS = (0.8, 8.0), (0.67, 1.5)
_LAYERS = 3
_KEY = "cellstorm"
_MAKE_AGAIN = "make it again with examples/train_appraiser.py"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appraisal:
    """What is thought of each spot.

    Attributes
    ----------
    probability : (M,) float32
        That it is a molecule.
    error_factor : (M,) float32
        Standard deviation of its position / Cramer-Rao bound.
    photon_factor : (M,) float32
        Photons of the molecule / photons of the fit.
    """

    probability: npt.NDArray[np.float32]
    error_factor: npt.NDArray[np.float32]
    photon_factor: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appraiser:
    """A trained network.

    Attributes
    ----------
    mean, spread : (K,) float32
        Mean and standard deviation of the traits it was trained with.
    layers : tuple of ((in, out) float32, (out,) float32)
        Weights and biases.
    origin : mapping
        Where it comes from: program, scenes, seeds, figures of the training.
    """

    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    layers: tuple[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def appraise(self, traits: npt.NDArray[np.float32]) -> Appraisal:
        """Return what is thought of spots with these traits, (M, K)."""
        values = np.clip((traits - self.mean) / self.spread, -_MOST, _MOST).astype(np.float32)
        for weight, bias in self.layers[:-1]:
            values = np.tanh(_layer(values, weight, bias))
        odds, error, photons = _layer(values, *self.layers[-1]).T
        return Appraisal(
            probability=1.0 / (1.0 + np.exp(-odds)),
            error_factor=np.clip(np.exp(error), *_ERROR_FACTORS),
            photon_factor=np.clip(np.exp(photons), *_PHOTON_FACTORS),
        )


@njit(cache=True, nogil=True)
def _layer(values: Any, weight: Any, bias: Any) -> Any:
    """Return ``values @ weight + bias``; how many spots there are changes no spot."""
    out = np.empty((len(values), len(bias)), np.float32)
    for spot in range(len(values)):
        line = out[spot]
        line[:] = bias
        for i in range(weight.shape[0]):
            value = values[spot, i]
            for j in range(weight.shape[1]):
                line[j] += value * weight[i, j]
    return out


@cache
def shipped_appraiser(kind: Kind = "film") -> Appraiser:
    """Return the network that comes with the program for these frames."""
    return read_appraiser(SHIPPED[kind], kind)


def read_appraiser(path: Path, kind: Kind = "film") -> Appraiser:
    """Read a network; nothing in the file is executed.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Whose spots it shall appraise.

    Raises
    ------
    CheckpointError
        When the file is missing, damaged, or made for other traits.
    """
    fault = "does not hold what spots are appraised by"
    with refusing(CheckpointError, path, fault, _MAKE_AGAIN):
        if not path.is_file():
            raise OSError("it is no file")
        with safe_open(str(path), framework="numpy") as content:
            origin = dict(json.loads((content.metadata() or {}).get(_KEY, "{}")))
            values = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        appraiser = Appraiser(
            mean=values["mean"],
            spread=values["spread"],
            layers=tuple(
                (values[f"weight_{layer}"], values[f"bias_{layer}"]) for layer in range(_LAYERS)
            ),
            origin=origin,
        )
        traits = tuple(origin.get("traits", ()))
    if traits != _TRAITS[kind]:
        raise CheckpointError(
            f"{path} was trained with other traits of spots than this program measures; "
            f"{_MAKE_AGAIN}"
        )
    return appraiser


def write_appraiser(appraiser: Appraiser, path: Path, kind: Kind = "film") -> None:
    """Write a network that appraises spots of these frames; the same one gives the same bytes."""
    values = {"mean": appraiser.mean, "spread": appraiser.spread}
    for layer, (weight, bias) in enumerate(appraiser.layers):
        values[f"weight_{layer}"], values[f"bias_{layer}"] = weight, bias
    header = json.dumps({**appraiser.origin, "traits": _TRAITS[kind]}, sort_keys=True)
    plain = {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}
    with written_whole(path) as temporary:
        save_file(plain, str(temporary), metadata={_KEY: header})
