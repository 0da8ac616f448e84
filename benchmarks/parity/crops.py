"""Crops of real images."""

from pathlib import Path

import cv2
import numpy as np

from heatpose.utils.geometry import box_to_center_scale, crop_image, invert

from .geometry import CODEC, PIXEL_STD
from .harness import ReferenceFile

SIZE = (192, 256)


def compare(file: ReferenceFile, samples: Path) -> None:
    """All arrays of crops_<fork>: to the last bit, since it is the same OpenCV."""
    codec = CODEC[file.fork](SIZE, (48, 64), 17)
    center, scale = box_to_center_scale(
        file["boxes"], SIZE[0] / SIZE[1], inclusive=codec.inclusive_boxes, extension=codec.box_extension
    )
    file.compare("center", center)
    file.compare("scale", scale / PIXEL_STD)
    matrices = [codec.warp_matrix(*box) for box in zip(center, scale, file["rot"], strict=True)]
    # UDP hands warpAffine the way back, in float32.
    handed = [invert(m).astype(np.float32) for m in matrices] if file.fork == "udp" else matrices
    file.compare("matrix", np.stack(handed))
    images = [cv2.imread(str(next(samples.rglob(str(name))))) for name in file["image_files"]]
    crops = [crop_image(image, matrix, SIZE) for image, matrix in zip(images, matrices, strict=True)]
    file.compare("crops", np.stack(crops), tolerance="exact")


def made_by_this_opencv(file: ReferenceFile) -> bool:
    """Whether OpenCV's major version is the one that made the file: 4 and 5 interpolate differently."""
    return file.about["cv2_version"].split(".")[0] == cv2.__version__.split(".")[0]
