"""The examples of docs/import.md, run in their order: each prints what stands below it."""

import os
import pathlib
import re
import subprocess

from support import ID, PROGRAM, check, check_equal, check_sane, environment, main

DOCUMENT = pathlib.Path(__file__, '../../../docs/import.md').resolve()
EXAMPLE = re.compile(r'```sh\n(.*?)```\n(?:```text\n(.*?)```\n)?', re.DOTALL)


def test_the_examples(folder):
    tools = os.path.join(folder, 'tools')
    os.mkdir(tools)
    os.symlink(PROGRAM, os.path.join(tools, 'keyward'))
    examples = EXAMPLE.findall(DOCUMENT.read_text(encoding='utf-8'))
    check(len(examples) >= 3, 'the examples are not found')
    for script, expected in examples:
        done = subprocess.run(['sh', '-c', script], cwd=folder, env=environment(PATH=f'{tools}:{os.environ["PATH"]}'),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        check_sane(done.stderr)
        check_equal(done.returncode, 0, f'{script}\n{done.stderr}')
        check_equal(ID.sub('key_…', done.stdout), expected, script)


if __name__ == '__main__':
    main([test_the_examples])
