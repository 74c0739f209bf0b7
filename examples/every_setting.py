"""Write examples/scenes/every-setting.yaml: run this after changing a setting of a scene."""

from pathlib import Path

from cellstorm_lib.simulate.blinking import DarkStateSettings, dye_names
from cellstorm_lib.simulate.cameras import camera_names
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.settings_text import settings_text
from cellstorm_lib.simulate.spot import AirySpotSettings, TableSpotSettings
from cellstorm_lib.simulate.structures import STRUCTURES

_FILE = Path(__file__).parent / "scenes" / "every-setting.yaml"


def every_setting() -> str:
    """Return the default scene, explained; then, commented out, the other kinds of its parts."""
    scene = Scene()
    others = [("structure", kind()) for kind in STRUCTURES.values()]
    others += [("spot", AirySpotSettings()), ("spot", TableSpotSettings())]
    others += [("blinking.dark_states[0]", DarkStateSettings())]
    text = (
        "# Every setting of a scene, at its default. A scene of your own needs only what differs.\n"
        "# Lengths, times and noise carry their unit in the name; null: empty, or switched off.\n"
        f"# `camera` may be a name instead: {', '.join(camera_names())}.\n"
        f"# `blinking` may name a dye: {', '.join(dye_names())}.\n"
        "# Other kinds of structure and spot, and a dark state, are shown at the end.\n"
    )
    text += settings_text(scene)
    for name, settings in others:
        if settings != scene.structure:
            block = f"{name}:\n{settings_text(settings, indent='  ')}"
            text += "\n" + "".join(f"# {line}\n" for line in block.splitlines())
    return text


if __name__ == "__main__":
    _FILE.write_text(every_setting(), encoding="utf-8")
