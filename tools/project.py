"""What the scripts in tools/ share: where the project lies, which files are its own, how they speak."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD_ROOT = pathlib.Path(os.environ.get('KEYWARD_BUILD_ROOT', ROOT)).resolve()

NOT_OURS = {'.git', 'build', 'data', 'node_modules', '__pycache__'}


def say(text):
    print(text, flush=True)


def complain(text):
    print(text, file=sys.stderr, flush=True)


def is_ours(name):
    return name not in NOT_OURS and not name.startswith('build-')


def own_files(*suffixes, under='.'):
    """The project's own files below a folder, sorted; with the given suffixes, or all."""
    found = []
    for folder, folders, names in os.walk(ROOT / under):
        folders[:] = [name for name in folders if is_ours(name)]
        found += [pathlib.Path(folder, name) for name in names if not suffixes or name.endswith(suffixes)]
    return sorted(found)


def relative(path):
    """A path as people write it: from the project's root."""
    return str(pathlib.Path(path).relative_to(ROOT))
