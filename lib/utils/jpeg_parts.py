"""Parts of JPEGs: a crop needs a quarter of its image, and a decoder that is told so takes two thirds of the time.

OpenCV cannot; nvImageCodec (`pip install -e ".[jpeg]"`) can, on the CPU, with the same pixels to the last bit: both
use libjpeg-turbo. Without it, and for what it does not take, images are decoded whole.
"""

import importlib.util
import logging
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "nvidia.nvimgcodec"
logger = logging.getLogger(__name__)
_EXTENSIONS = "NVIMGCODEC_EXTENSIONS_PATH"


class JpegPart:
    """A JPEG of which parts can be decoded."""

    def __init__(self, codec: Any, decoder: Any, stream: Any):
        self._codec, self._decoder, self._stream = codec, decoder, stream
        self.size = stream.width, stream.height  # px

    def decode(self, left: int, top: int, right: int, bottom: int) -> np.ndarray | None:
        """The pixels (bottom - top, right - left, 3) uint8 BGR; None where the image is broken."""
        part = self._stream.get_sub_code_stream(region=self._codec.Region(top, left, bottom, right))
        decoded = self._decoder.decode(part, params=_parameters())
        return None if decoded is None else np.asarray(decoded)


def open_jpeg(data: bytes) -> JpegPart | None:
    """The JPEG, not decoded yet; None where there is no decoder for parts or it leaves such an image to OpenCV."""
    codec = _codec()
    if codec is None:
        return None
    try:
        stream = codec.CodeStream(data)
        colours = stream.num_channels == 3 and stream.codec_name == "jpeg" and stream.dtype == np.uint8
        colours = colours and min(stream.width, stream.height) > 0
    except RuntimeError:
        return None
    return JpegPart(codec, _decoder(os.getpid()), stream) if colours else None


def is_installed() -> bool:
    """Whether there is a decoder for parts, without loading it."""
    return _found() is not None


def _found() -> Path | None:
    """The folder of the decoder's package."""
    try:
        found = importlib.util.find_spec(MODULE)
    except ModuleNotFoundError:  # its parent package
        return None
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


@lru_cache(maxsize=1)
def _codec() -> Any:
    """The module, or None where it is not installed or, after a warning, cannot be loaded.

    As it is imported it loads a library for every format, and says on the console that those for GPUs are missing. It
    is shown the one for JPEGs on CPUs alone.
    """
    package = _found()
    if package is None:
        return None
    before = os.environ.get(_EXTENSIONS)
    with tempfile.TemporaryDirectory() as folder:
        for library in (package / "extensions").glob("*jpeg_turbo*"):
            os.symlink(library, Path(folder, library.name))
        os.environ[_EXTENSIONS] = folder
        try:
            return importlib.import_module(MODULE)
        except ImportError as error:
            logger.warning("%s cannot be loaded (%s): JPEGs are decoded whole; install it anew", MODULE, error)
            return None
        finally:
            os.environ.pop(_EXTENSIONS)
            if before is not None:
                os.environ[_EXTENSIONS] = before


@lru_cache(maxsize=1)
def _decoder(process: int) -> Any:
    """The decoder of a process: its threads do not survive the fork that makes a loading process."""
    codec = _codec()
    cpu = [codec.Backend(codec.BackendKind.CPU_ONLY)]
    return codec.Decoder(
        device_id=codec.NVIMGCODEC_DEVICE_CPU_ONLY, max_num_cpu_threads=1, backends=cpu, options=":fancy_upsampling=1"
    )


@lru_cache(maxsize=1)
def _parameters() -> Any:
    """As the forks read: three channels, BGR, and EXIF orientation left alone."""
    codec = _codec()
    return codec.DecodeParams(apply_exif_orientation=False, sample_format=codec.SampleFormat.I_BGR)
