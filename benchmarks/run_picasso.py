"""Localize a raw movie with Picasso. Run by others with the interpreter that has Picasso.

Arguments: movie.npy out.npz offset_adu gain_e_per_adu pixel_size_nm net_gradient [method [eps]]
"""

import json
import sys
import time

import numpy as np
from picasso import localize


def main() -> None:
    movie_path, out, offset, gain, pixel_nm, net_gradient, *how = sys.argv[1:]
    method = how[0] if how else "gaussmle"
    until = {"eps": float(how[1]), "max_it": 1000} if how[1:] else {}
    movie = np.load(movie_path, mmap_mode="r")
    camera = {"Baseline": float(offset), "Sensitivity": float(gain), "Gain": 1,
              "Pixelsize": float(pixel_nm)}  # fmt: skip

    def run(frames):
        spots = localize.identify(frames, float(net_gradient), 7, return_info=False)
        found = localize.fit(
            frames, camera_info=camera, identifications=spots, box=7, fitting_method=method, **until
        )
        return found[0] if isinstance(found, tuple) else found

    run(movie[:40])  # compilation is not counted
    start, cpu = time.perf_counter(), time.process_time()
    found = run(movie)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    position = (np.column_stack([found["x"], found["y"]]) + 0.5) * float(pixel_nm)
    uncertainty = np.column_stack([found["lpx"], found["lpy"]]) * float(pixel_nm)
    np.savez(out, frame=np.asarray(found["frame"]), xy_nm=position, uncertainty_nm=uncertainty)
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
