"""Runs the fuzz targets, each on its kept inputs and on what earlier runs found.

    ./dev fuzz [NAME] [SECONDS]         all targets or one, SECONDS each (60)
    ./dev fuzz --keep [NAME]            takes inputs that reach new code from the found ones into tests/fuzz/corpus
    ./dev fuzz --test NAME PROGRAM      some seconds on the kept inputs only; for the test suite

What is found lies in build-fuzz/found/NAME, an input that broke something in build-fuzz/broken/.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import build
from project import ROOT, complain, relative, say

SECONDS_DEFAULT = 60
SECONDS_IN_TESTS = 5
INPUT_SECONDS_MAX = 10
MEMORY_MB_MAX = 2048
TRACE_LINES_MAX = 80

SOURCES = ROOT / 'tests' / 'fuzz'


def names():
    return sorted(path.stem.removeprefix('fuzz_') for path in SOURCES.glob('fuzz_*.c'))


def kept_of(name):
    folder = SOURCES / 'corpus' / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def found_of(name):
    folder = build.FLAVOURS['fuzz'].path / 'found' / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def command_of(name, program, seconds, folders):
    broken = build.FLAVOURS['fuzz'].path / 'broken'
    broken.mkdir(parents=True, exist_ok=True)
    words = SOURCES / f'{name}.dict'
    command = [str(program), f'-max_total_time={seconds}', f'-timeout={INPUT_SECONDS_MAX}',
               f'-rss_limit_mb={MEMORY_MB_MAX}', f'-artifact_prefix={broken}/{name}-']
    if words.exists():
        command.append(f'-dict={words}')
    return command + [str(folder) for folder in folders]


def run(name, program, seconds, folders):
    """True when nothing broke."""
    result = subprocess.run(command_of(name, program, seconds, folders), cwd=ROOT, check=False, text=True,
                            errors='replace', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    if result.returncode != 0:
        say('\n'.join(result.stdout.splitlines()[-TRACE_LINES_MAX:]))
        say(f'fuzz {name}: BROKEN; run the input again with {program} FILE')
        return False
    runs = re.search(r'Done (\d+) runs', result.stdout)
    reached = re.findall(r'cov: (\d+)', result.stdout)
    say(f'fuzz {name}: {runs.group(1) if runs else "?"} inputs, {reached[-1] if reached else "?"} edges, nothing broke')
    return True


def program_of(flavour, name):
    return flavour.path / 'tests' / 'fuzz' / f'fuzz_{name}'


def search(chosen, seconds):
    flavour = build.build('fuzz', [f'tests/fuzz/fuzz_{name}' for name in chosen])
    results = [run(name, program_of(flavour, name), seconds, [found_of(name), kept_of(name)]) for name in chosen]
    return 0 if all(results) else 1


def keep(chosen):
    flavour = build.build('fuzz', [f'tests/fuzz/fuzz_{name}' for name in chosen])
    for name in chosen:
        before = len(list(kept_of(name).iterdir()))
        subprocess.run([program_of(flavour, name), '-merge=1', kept_of(name), found_of(name)], check=True, cwd=ROOT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = len(list(kept_of(name).iterdir()))
        say(f'fuzz {name}: {after - before} inputs added to {relative(kept_of(name))}, {after} in all')
    return 0


def test(name, program):
    with tempfile.TemporaryDirectory() as scratch:
        return 0 if run(name, pathlib.Path(program), SECONDS_IN_TESTS, [scratch, kept_of(name)]) else 1


def choose(arguments):
    """The targets and seconds that were asked for; None when that makes no sense."""
    seconds, chosen = SECONDS_DEFAULT, []
    for argument in arguments:
        if argument.isdigit() and int(argument) > 0:
            seconds = int(argument)
        elif argument in names():
            chosen.append(argument)
        else:
            complain(f'there is no fuzz target "{argument}"; there are: {", ".join(names())}')
            return None
    return chosen or names(), seconds


def main(arguments):
    if len(arguments) == 3 and arguments[0] == '--test':
        return test(*arguments[1:])
    keeps = arguments[:1] == ['--keep']
    choice = choose(arguments[1:] if keeps else arguments)
    if choice is None:
        complain(__doc__)
        return 2
    try:
        return keep(choice[0]) if keeps else search(*choice)
    except build.BuildError as error:
        complain(str(error))
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
