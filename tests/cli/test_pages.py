"""The examples of the pages that go on from one to the next on a data folder: each prints what stands below it."""

import os
import pathlib
import re
import subprocess

from support import ID, KEY, PROGRAM, check, check_equal, check_sane, environment, main

DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'
EXAMPLE = re.compile(r'```sh\n(.*?)```\n(?:```text\n(.*?)```\n)?', re.DOTALL)


def try_page(folder, name, least):
    tools = os.path.join(folder, 'tools')
    os.mkdir(tools)
    os.symlink(PROGRAM, os.path.join(tools, 'keyward'))
    examples = EXAMPLE.findall((DOCS / name).read_text(encoding='utf-8'))
    check(len(examples) >= least, 'the examples are not found')
    for script, expected in examples:
        done = subprocess.run(['sh', '-c', script], cwd=folder, env=environment(PATH=f'{tools}:{os.environ["PATH"]}'),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        check_sane(done.stderr)
        check_equal(done.returncode, 0, f'{script}\n{done.stderr}')
        check_equal(ID.sub('key_…', re.sub(KEY.pattern, 'sk_live_…', done.stdout)), expected, script)


def test_many_keys_from_a_file(folder):
    try_page(folder, 'batch.md', 4)


def test_imports(folder):
    try_page(folder, 'import.md', 3)


if __name__ == '__main__':
    main([test_many_keys_from_a_file, test_imports])
