"""Keypoints <-> heatmaps: one codec per paper."""


def channels_per_joint(name: str) -> int:
    """Heatmap channels that the codec `name` asks of the model for every joint: 3 with offsets, else 1.

    >>> channels_per_joint("udp_offset")
    3
    """
    return 3 if name == "udp_offset" else 1
