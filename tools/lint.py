"""Layout, static analysis and the rules of the house.

    ./dev lint            every step
    ./dev lint --quick    the steps that need no compiler
    ./dev lint --fix      lays out all C with clang-format first
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import build
from project import ROOT, complain, own_files, relative, say

PYTHON = sys.executable
EXPLANATION_LINES_MAX = 24
C_FOLDERS = ('src', 'include', 'examples', 'tests', 'bench')
C_STANDARDS = (('gcc', 'c', 'c99'), ('gcc', 'c', 'c17'), ('g++', 'c++', 'c++11'), ('g++', 'c++', 'c++20'))


def run(*command):
    """The exit code, and everything that was printed."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, check=False, text=True, errors='replace',
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def findings_of(*command):
    """Nothing when the command is content, otherwise what it says."""
    status, output = run(*command)
    return output.splitlines() or [f'{command[0]}: exit code {status}'] if status != 0 else []


def c_files():
    return [file for folder in C_FOLDERS for file in own_files('.c', '.h', under=folder)]


def check_layout():
    _, output = run('clang-format', '--dry-run', '-Werror', '--ferror-limit=1', *c_files())
    places = {line.split(': error:')[0] for line in output.splitlines() if ': error:' in line}
    found = [f'{relative_or_same(place)}: not in our layout: ./dev lint --fix' for place in sorted(places)]
    return found or (output.splitlines() if output.strip() else [])


def relative_or_same(place):
    return place.removeprefix(f'{ROOT}/')


def check_headers():
    """Each public header compiles alone, in old and new C and C++, with nothing to complain about."""
    found = []
    for header in own_files('.h', under='include/keyward'):
        for compiler, language, standard in C_STANDARDS:
            found += findings_of(compiler, '-x', language, f'-std={standard}', '-pedantic', '-Wall', '-Wextra',
                                 '-Werror', '-fsyntax-only', '-Iinclude', header)
    return found


def check_scripts():
    shell = [ROOT / 'dev', ROOT / '.ci' / 'run', *own_files('.sh')]
    found = findings_of('shellcheck', '--external-sources', *[file for file in shell if file.exists()])
    for file in own_files('.py'):
        try:
            compile(file.read_text(), relative(file), 'exec')
        except SyntaxError as error:
            found.append(f'{relative(file)}:{error.lineno}: {error.msg}')
    return found


def compiled_files(flavour):
    """Our own sources that the build compiles: not a library's, not generated ones."""
    commands = json.loads((flavour.path / 'compile_commands.json').read_text())
    files = {pathlib.Path(command['directory'], command['file']).resolve() for command in commands}
    ours = [file for file in files if any(file.is_relative_to(ROOT / folder) for folder in C_FOLDERS)]
    return sorted(ours, key=lambda file: -file.stat().st_size)


def shortened(output):
    """clang-tidy's findings with paths from the root, each with the first lines of its explanation."""
    lines, room = [], 0
    for line in output.splitlines():
        line = re.sub(r'^(?:\S*/)?\.\./(?=(?:src|include|examples|tests|bench)/)', '', relative_or_same(line))
        if ': error:' in line or ': warning:' in line:
            room = 0 if line.startswith('/') else EXPLANATION_LINES_MAX  # in a library's header: not ours to mend
        if room > 0:
            lines.append(line)
        room -= 1
    return lines


def tidy(flavour, file):
    status, output = run('clang-tidy', '--quiet', '-p', flavour.path, '--extra-arg=-Wno-unknown-warning-option', file)
    if status == 0:
        return []
    return shortened(output) if ': error:' in output else [f'{relative(file)}: clang-tidy failed', *output.splitlines()]


def check_tidy(flavour):
    """Findings in a header come once, though many sources include it."""
    found, seen = [], set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(lambda file: tidy(flavour, file), compiled_files(flavour)):
            shown = False
            for line in lines:
                if ': error:' in line:
                    shown = line not in seen
                    seen.add(line)
                if shown:
                    found.append(line)
    return found


def check_cppcheck(flavour):
    kept = flavour.path / 'cppcheck'
    kept.mkdir(exist_ok=True)
    return findings_of('cppcheck', '--quiet', '--enable=warning,performance,portability', '--inline-suppr',
                       '--suppressions-list=tools/cppcheck-suppressions.txt', '--std=c11', '--library=posix,gnu',
                       '--error-exitcode=1', f'--cppcheck-build-dir={kept}', f'-j{os.cpu_count()}',
                       '--template={file}:{line}: {message} [{id}]', '-Isrc', '-Iinclude', '-D_GNU_SOURCE',
                       'src', 'include', 'examples')


def step(name, check):
    """Runs one step and shows how it went. True when there were no findings."""
    start = time.monotonic()
    found = check()
    verdict = 'ok' if not found else 'FAILED'
    say(f'lint {name:28} {verdict:8} {time.monotonic() - start:6.1f} s')
    for line in found:
        say(f'    {line}')
    return not found


def quick_steps():
    return [
        ('layout', check_layout),
        ('arrows between rooms', lambda: findings_of(PYTHON, 'tools/check_includes.py')),
        ('rules of the house', lambda: findings_of(PYTHON, 'tools/check_rules.py')),
        ('the rules can fail', lambda: findings_of(PYTHON, 'tools/test_rules.py')),
        ('scripts', check_scripts),
        ('public headers alone', check_headers),
    ]


def thorough_steps():
    try:
        flavour = build.build('release')
    except build.BuildError as error:
        message = str(error).splitlines()
        return [('build', lambda: message)]
    return [('clang-tidy', lambda: check_tidy(flavour)), ('cppcheck', lambda: check_cppcheck(flavour))]


def main(arguments):
    if not set(arguments) <= {'--quick', '--fix'}:
        complain(__doc__)
        return 2
    if '--fix' in arguments:
        run('clang-format', '-i', *c_files())
    results = [step(*one) for one in quick_steps()]
    if '--quick' not in arguments:
        results += [step(*one) for one in thorough_steps()]
    say(f'lint: {results.count(True)} of {len(results)} steps without findings')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
