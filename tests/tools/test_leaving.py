"""How a command ends: its code, all that was written, and nothing left undone."""

import subprocess
import sys

import pytest

HEAD = "import atexit, sys; sys.path.insert(0, 'tools'); from common import run; atexit.register(print, 'left')\n"


def leave(repository, body, **options):
    code = HEAD + f"def main():\n    {body}\nrun(main)"
    return subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, **options)


@pytest.mark.parametrize(("body", "code", "told"), [
    ("print('done')", 0, ""), ("sys.exit()", 0, ""), ("sys.exit(3)", 3, ""),
    ("raise ValueError('no such thing')", 2, "error: no such thing\n"), ("raise BrokenPipeError", 0, ""),
    ("raise KeyboardInterrupt", 130, "error: interrupted; AUTO_RESUME True continues from the last finished epoch\n"),
])  # fmt: skip
def test_the_code_and_what_is_told(repository, body, code, told):
    done = leave(repository, body)
    assert (done.returncode, done.stderr) == (code, told)
    if body != "raise BrokenPipeError":
        assert done.stdout.endswith("left\n")


def test_an_error_of_the_program_keeps_its_traceback(repository):
    done = leave(repository, "{}['missing']")
    assert done.returncode == 1 and "Traceback" in done.stderr and "KeyError: 'missing'" in done.stderr


def test_all_that_was_written_arrives(repository):
    done = leave(repository, "print('line\\n' * 200_000, end='')")
    assert done.returncode == 0 and done.stdout == "line\n" * 200_000 + "left\n"
