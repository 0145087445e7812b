"""Which lines the tests reach: builds with gcc's counters, runs the tests, and prints a row for each room.

    ./dev cover [--files]     with a row for each file too
"""

import collections
import json
import pathlib
import subprocess
import sys

import build
import run_tests
from project import ROOT, complain, say


def run_every_test(flavour):
    """Runs what runs under the sanitizers or on the release build, here with the counters on."""
    for old in flavour.path.rglob('*.gcda'):
        old.unlink()
    tests = build.introspect(flavour, '--tests')
    tally = run_tests.Tally()
    protocols = {test['name']: test['protocol'] for test in tests}
    for result in run_tests.run_meson('cover', flavour.path, tests):
        name = result['name'].rpartition(' / ')[2]
        tally.add(run_tests.count_result(result, protocols[name], name))
    return tally


def read_counters(flavour):
    """File to line to count, summed over every program that contains the line."""
    counts = collections.defaultdict(lambda: collections.defaultdict(int))
    data = sorted(flavour.path.rglob('*.gcno'))
    for path in data:
        output = subprocess.run(['gcov', '--json-format', '--stdout', str(path)], cwd=flavour.path, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        for document in output.splitlines():
            for file in json.loads(document)['files']:
                name = (flavour.path / file['file']).resolve()
                for line in file['lines']:
                    counts[name][line['line_number']] += line['count']
    return counts


def room_of(path):
    """The room that a source belongs to: "src/base"; None for what is not ours or not measured."""
    if not path.is_relative_to(ROOT / 'src') and not path.is_relative_to(ROOT / 'include'):
        return None
    return '/'.join(path.relative_to(ROOT).parts[:2])


def show(title, lines):
    reached = sum(1 for count in lines if count > 0)
    say(f'{title:44} {reached:7} of {len(lines):7} lines {100 * reached / max(len(lines), 1):7.1f} %')


def report(counts, with_files):
    rooms = collections.defaultdict(list)
    for path, lines in sorted(counts.items()):
        room = room_of(pathlib.Path(path))
        if room is None:
            continue
        rooms[room] += lines.values()
        if with_files:
            show(str(path.relative_to(ROOT)), list(lines.values()))
    for room, lines in rooms.items():
        show(room, lines)
    show('all', [count for lines in rooms.values() for count in lines])


def main(arguments):
    if arguments not in ([], ['--files']):
        complain(__doc__)
        return 2
    try:
        flavour = build.build('cover')
        tally = run_every_test(flavour)
    except build.BuildError as error:
        complain(str(error))
        return 1
    report(read_counters(flavour), arguments == ['--files'])
    say(f'{tally.passed} passed, {tally.failed} failed')
    return 0 if tally.failed == 0 else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
