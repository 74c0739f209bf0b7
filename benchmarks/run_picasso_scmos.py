"""Measure a camera with Picasso. Run by bench_calibration with the interpreter that has Picasso.

Argument: ladder.npz with dark (N, Y, X) and bright (L, N, Y, X). Picasso gives maps in grey values;
the numbers printed are their means, in the units of cellstorm. The variance map holds the rounding,
1/12, and each pixel's mean the noise of its frames; both are taken off here.
"""

import json
import sys

import numpy as np
from picasso import scmos


def main() -> None:
    series = np.load(sys.argv[1])
    maps = scmos.calibrate_scmos(series["dark"], list(series["bright"]))
    gain_e_per_adu = 1.0 / float(np.mean(maps["gain"]))
    variance = float(np.mean(maps["variance"]))
    pattern = float(np.var(maps["offset"])) - variance / len(series["dark"])
    print(
        json.dumps(
            {
                "offset_adu": float(np.mean(maps["offset"])),
                "gain_e_per_adu": gain_e_per_adu,
                "read_noise_e": float(np.sqrt(variance - 1 / 12)) * gain_e_per_adu,
                "fixed_pattern_e": float(np.sqrt(pattern)) * gain_e_per_adu,
            }
        )
    )


if __name__ == "__main__":
    main()
