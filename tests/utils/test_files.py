"""Files are written whole, in the bytes that they would have in one piece."""

import json

import numpy as np
import pytest

from heatpose.utils.files import AT_ONCE, write_json_rows


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, 2 * AT_ONCE + 1])
def test_rows_are_one_list_however_many_there_are(tmp_path, count):
    rows = [{"number": number, "keypoints": np.array([number / 4, 0.5])} for number in range(count)]
    write_json_rows(rows, tmp_path / "rows.json")
    expected = [{"number": number, "keypoints": [number / 4, 0.5]} for number in range(count)]
    assert json.loads((tmp_path / "rows.json").read_text()) == expected
    assert [file.name for file in tmp_path.iterdir()] == ["rows.json"]
