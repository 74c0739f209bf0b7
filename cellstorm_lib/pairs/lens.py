"""From screen to camera and back: a homography, then the radial distortion of a lens."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Model = Literal["lens", "affine"]

_Floats = npt.NDArray[np.float64]

#: Distance from the fit, in camera pixels, beyond which a bead counts less and less.
_SOFT_PX = 0.02
_STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LensMap:
    """Where points of the screen lie on the camera.

    A point of the screen goes through `matrix` to an ideal camera; from there it moves away
    from `centre_px` by the factor ``1 + k1 r^2 + k2 r^4``, where r is its distance from the
    centre in units of `radius_px`. Pixel ``[0, 0]`` spans 0 to 1 on both.

    Attributes
    ----------
    matrix : (3, 3) float64
        Homography from screen pixels to camera pixels.
    centre_px : (2,) float64
        Centre of the distortion, x and y.
    radius_px : float
        Half the diagonal of the camera's frame.
    k1, k2 : float
        Radial distortion; negative is a barrel.
    """

    matrix: _Floats
    centre_px: _Floats
    radius_px: float
    k1: float = 0.0
    k2: float = 0.0

    def to_camera(self, screen_px: _Floats) -> _Floats:
        """Return where points (..., 2) of the screen lie on the camera, (..., 2)."""
        ideal = _projected(self.matrix, screen_px) - self.centre_px
        r2 = (ideal**2).sum(axis=-1, keepdims=True) / self.radius_px**2
        return np.asarray(self.centre_px + ideal * (1.0 + r2 * (self.k1 + r2 * self.k2)))

    def to_screen(self, camera_px: _Floats) -> _Floats:
        """Return which points of the screen are seen at points (..., 2) of the camera, (..., 2)."""
        away = np.asarray(camera_px, np.float64) - self.centre_px
        distorted = np.sqrt((away**2).sum(axis=-1, keepdims=True)) / self.radius_px
        radius = distorted.copy()
        for _ in range(_STEPS):  # Newton's method for the undistorted radius
            r2 = radius**2
            excess = radius * (1.0 + r2 * (self.k1 + r2 * self.k2)) - distorted
            slope = 1.0 + r2 * (3.0 * self.k1 + 5.0 * r2 * self.k2)
            radius -= excess / np.maximum(slope, 0.1)
        shrink = np.divide(radius, distorted, out=np.ones_like(radius), where=distorted > 0)
        ideal = np.asarray(self.centre_px + away * shrink, np.float64)
        return _projected(np.asarray(np.linalg.inv(self.matrix), np.float64), ideal)

    def scale_at(self, screen_px: _Floats) -> tuple[_Floats, _Floats]:
        """Return camera pixels per screen pixel along x and along y at points (..., 2)."""
        here = self.to_camera(screen_px)
        across = self.to_camera(screen_px + np.array([1.0, 0.0])) - here
        down = self.to_camera(screen_px + np.array([0.0, 1.0])) - here
        return np.hypot(across[..., 0], across[..., 1]), np.hypot(down[..., 0], down[..., 1])


def coarse_map(
    screen_px: _Floats, camera_px: _Floats, frame_px: tuple[int, int], *, k1: float = 0.0
) -> LensMap:
    """Return the map through four points for a given distortion about the frame's centre.

    Parameters
    ----------
    screen_px, camera_px : (4, 2) float64
        The same points on the screen and on the camera.
    frame_px : (int, int)
        Width and height of the camera's frame.
    k1 : float
        Distortion.
    """
    centre, radius = _frame_centre(frame_px)
    straight = LensMap(matrix=np.eye(3), centre_px=centre, radius_px=radius, k1=k1)
    matrix = _homography(screen_px, straight.to_screen(camera_px))
    return LensMap(matrix=matrix, centre_px=centre, radius_px=radius, k1=k1)


def fit_map(
    screen_px: _Floats, camera_px: _Floats, frame_px: tuple[int, int], *, model: Model
) -> LensMap:
    """Fit a map to many points by least squares that forgive outliers (soft L1).

    Parameters
    ----------
    screen_px, camera_px : (M, 2) float64
        The same points on the screen and on the camera.
    frame_px : (int, int)
        Width and height of the camera's frame.
    model : {"lens", "affine"}
        Homography and radial distortion with a free centre, or shift, rotation, scale and shear
        only, as the paper did.
    """
    middle, radius = _frame_centre(frame_px)
    centre_s, spread_s = screen_px.mean(axis=0), float(screen_px.std())
    to_unit = np.diag([1 / spread_s, 1 / spread_s, 1.0])
    to_unit[:2, 2] = -centre_s / spread_s
    from_unit = np.diag([radius, radius, 1.0])
    from_unit[:2, 2] = middle
    inside, seen = _projected(to_unit, screen_px), (camera_px - middle) / radius
    start = _homography(inside, seen)
    first = np.concatenate([start.ravel()[:8], np.zeros(4)])
    free = np.arange(12) if model == "lens" else np.arange(6)
    if model == "affine":
        first[6:8] = 0.0
    soft = _SOFT_PX / radius

    def unpacked(values: _Floats) -> LensMap:
        whole = first.copy()
        whole[free] = values
        return LensMap(
            matrix=np.append(whole[:8], 1.0).reshape(3, 3),
            centre_px=whole[8:10],
            radius_px=1.0,
            k1=whole[10],
            k2=whole[11],
        )

    def misses(values: _Floats) -> _Floats:
        found = unpacked(values)
        # Without distortion any centre is as good as another: a slight pull keeps it defined.
        pull = soft * found.centre_px
        return np.concatenate([(found.to_camera(inside) - seen).ravel(), pull])

    done = least_squares(misses, first[free], loss="soft_l1", f_scale=soft, x_scale="jac")
    best = unpacked(done.x)
    return LensMap(
        matrix=from_unit @ best.matrix @ to_unit,
        centre_px=middle + radius * best.centre_px,
        radius_px=radius,
        k1=best.k1,
        k2=best.k2,
    )


def _frame_centre(frame_px: tuple[int, int]) -> tuple[_Floats, float]:
    """Return middle and half diagonal of a frame."""
    width_px, height_px = frame_px
    return np.array([width_px / 2, height_px / 2]), float(np.hypot(width_px, height_px) / 2)


def _projected(matrix: _Floats, points: npt.NDArray[np.floating]) -> _Floats:
    """Return points (..., 2) seen through a homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:])


def _homography(source: _Floats, target: _Floats) -> _Floats:
    """Return the homography that brings points to points, by linear least squares.

    Last element 1, which a screen seen by a camera always allows after centring.
    """
    (x, y), (u, v) = source.T, target.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [
        np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y]),
        np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y]),
    ]
    values = np.linalg.lstsq(np.concatenate(rows), np.concatenate([u, v]), rcond=None)[0]
    return np.append(values, 1.0).reshape(3, 3)
