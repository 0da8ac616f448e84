"""heatpose: heatmap-based 2D pose estimation."""

__version__ = "0.1.0"
