"""What every codec loses without any network, measured and compared with closed forms: behind tools/codec_lab.py."""

from .closed_forms import TOLERANCE
from .examine import Geometry, Report, examine
from .plots import save_plots
from .tables import report_json, report_text

__all__ = ["TOLERANCE", "Geometry", "Report", "examine", "report_json", "report_text", "save_plots"]
