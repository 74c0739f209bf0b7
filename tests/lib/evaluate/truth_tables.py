"""Small tables of localizations and emitters."""

import numpy as np
import pandas as pd

from cellstorm_lib.tables import Emitters, FieldOfView, Localizations


def field(side_px=256, frame_count=100, **roi):
    return FieldOfView(
        width_px=side_px, height_px=side_px, pixel_size_nm=100.0, frame_count=frame_count, **roi
    )


def found(xy_nm, frame=None, *, fov=None, **columns):
    xy_nm = np.asarray(xy_nm, np.float64).reshape(-1, 2)
    frame = np.zeros(len(xy_nm), int) if frame is None else frame
    data = pd.DataFrame({"frame": frame, "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1], **columns})
    return Localizations(data=data, field=fov or field())


def true(xy_nm, frame=None, photons=1000.0):
    xy_nm = np.asarray(xy_nm, np.float64).reshape(-1, 2)
    frame = np.zeros(len(xy_nm), int) if frame is None else frame
    data = pd.DataFrame(
        {
            "frame": frame,
            "emitter": np.arange(len(xy_nm)),
            "x_nm": xy_nm[:, 0],
            "y_nm": xy_nm[:, 1],
            "photons": np.broadcast_to(np.asarray(photons, np.float64), len(xy_nm)),
        }
    )
    return Emitters(data=data, field=field())
