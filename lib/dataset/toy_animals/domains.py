"""The two domains of the toy animals as numbers: tune the gap between them here.

A change of any number draws the data anew: they are written down in the folder.
"""

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """What a picture looks like; 0 leaves out what the number is the strength of. Ranges are (lowest, highest)."""

    clip_frames: int  # frames of a shot; 1: single images
    speed: Range  # of the animal, px a frame
    pose_noise: float  # degrees, normal noise of the posture around that of a walking animal
    hue: Range  # of coats, degrees
    saturation: Range  # of coats, 0-1
    value: Range  # brightness of coats, 0-1
    pattern: float  # contrast of stripes, spots and patches on the coat, 0-1
    fur: float  # noise of the coat, grey levels
    marks: float  # contrast of the marks that tell left from right, 0-1
    relief: float  # how much darker a surface is that faces away from the light, 0-1
    clutter: float  # what stands behind the animal; 0 is a plain background
    occlusion: float  # probability that something stands in front of the animal
    light: float  # how uneven the light on the scene is, 0-1
    colours: float  # how far the camera's brightness, contrast and colour balance go, 0-1
    blur: float  # standard deviation of the defocus, length of the motion blur in thirds, px
    noise: float  # of the sensor, grey levels
    jpeg_quality: int


DOMAINS = {
    "source": Domain(
        clip_frames=1, speed=(2, 4), pose_noise=9, hue=(0, 360), saturation=(0.3, 0.85), value=(0.7, 1),
        pattern=0, fur=0, marks=1, relief=0.25, clutter=0, occlusion=0, light=0, colours=0, blur=0, noise=0,
        jpeg_quality=95,
    ),
    "target": Domain(
        clip_frames=10, speed=(2, 4), pose_noise=4, hue=(8, 45), saturation=(0.2, 0.7), value=(0.4, 0.9),
        pattern=0.5, fur=8, marks=0.8, relief=0.45, clutter=0.3, occlusion=0.2, light=0.2, colours=0.4, blur=0.6,
        noise=4, jpeg_quality=75,
    ),
}  # fmt: skip
