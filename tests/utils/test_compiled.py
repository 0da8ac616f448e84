"""Machine code on the disk is that of the loops as they are."""

import shutil
import subprocess
import sys

CALLED, CALLING = "reading_loops.py", "writing_loops.py"


def run(folder):
    """What the loop in `folder` gives, in a process of its own, and whether its machine code came from the disk."""
    code = (
        "from heatpose.utils.writing_loops import twice;"
        "print(twice(3), sum(twice.stats.cache_hits.values()))"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_loop_is_compiled_anew_where_what_it_calls_has_changed(repository, tmp_path):
    package = tmp_path / "heatpose/utils"
    package.mkdir(parents=True)
    shutil.copy(repository / "lib/utils/compiled.py", package)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    head = "from .compiled import compiled\n"
    (package / CALLED).write_text(head + "@compiled\ndef add(x):\n    return x + x\n")
    (package / CALLING).write_text(
        head + "from .reading_loops import add\n@compiled\ndef twice(x):\n    return add(x)\n"
    )
    assert [run(tmp_path), run(tmp_path)] == [["6", "0"], ["6", "1"]]
    (package / CALLED).write_text(head + "@compiled\ndef add(x):\n    return x + x + 1\n")
    assert run(tmp_path) == ["7", "0"]
