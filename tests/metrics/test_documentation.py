"""What docs/metrics.md says its code prints is what it prints."""

import re
import runpy

EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
END = "--- end of block ---\n"


def test_every_block_prints_what_stands_below_it(repository, tmp_path, capsys):
    page = (repository / "docs" / "metrics.md").read_text()
    blocks, outputs = zip(*EXAMPLE.findall(page), strict=True)
    assert len(blocks) == page.count("```python") > 5
    session = tmp_path / "session.py"
    session.write_text(f"print({END!r}, end='')\n".join(blocks))
    capsys.readouterr()
    runpy.run_path(str(session))
    assert capsys.readouterr().out.split(END) == list(outputs)
