"""Runs the tests in the flavours they ask for, and counts their cases.

    ./dev test [NAME]     all tests, or those whose names contain NAME
    ./dev test --list     which tests there are, and where each runs

The last line is "N passed, N failed"; the exit code is 1 when something failed or nothing ran. How a test asks for a
flavour stands in tests/README.md.
"""

import dataclasses
import json
import os
import platform
import re
import subprocess
import sys

import build
from project import ROOT, complain, say

ORDER = ('asan', 'tsan', 'release', 'fuzz')

# What a suite's tests run under. A test in no such suite runs under the address and undefined-behaviour sanitizers.
SUITES = {
    'asan': {'asan'},
    'tsan': {'tsan'},
    'release': {'release'},
    'concurrency': {'asan', 'tsan'},
    'crash': {'release'},
    'example': {'release'},
    'fuzz': {'fuzz'},
}

OUTPUT_LINES_MAX = 120

# Meson, as a test ends: "1/3 keyward:concurrency / base-race OK  0.01s  1 subtests passed".
ENDED_LINE = re.compile(r'\s*(?P<number>\d+/\d+) (?:\S+ / )?(?P<test>\S+)\s+(?P<result>[A-Z]+)\s+(?P<rest>[\d.]+s.*)')


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)


def flavours_of(suites):
    """`suites` as Meson names them: ["keyward:crash"], or ["keyward"] for none."""
    asked = [SUITES.get(suite.rpartition(':')[2], set()) for suite in suites]
    return set().union(*asked) or {'asan'}


def count_tap(output, where):
    """Counts the points of TAP; a skipped or expected failure is neither passed nor failed."""
    tally = Tally()
    points, planned = 0, None
    for line in output.splitlines():
        plan = re.match(r'1\.\.(\d+)', line)
        point = re.match(r'(not )?ok\b\s*\d*\s*-?\s*(.*)', line)
        if plan:
            planned = int(plan.group(1))
        elif point:
            points += 1
            if re.search(r'#\s*(skip|to' + 'do)', point.group(2), re.IGNORECASE):
                tally.skipped += 1
            elif point.group(1):
                tally.fail(f'{where}: {point.group(2)}')
            else:
                tally.passed += 1
    if planned != points:
        tally.fail(f'{where}: ended after {points} cases of {"?" if planned is None else planned}')
    return tally


def count_result(result, protocol, where):
    """One test program's part of the tally, from its line in Meson's log and what it printed."""
    went_well = result['result'] in ('OK', 'EXPECTEDFAIL')
    if result['result'] == 'SKIP':
        return Tally(skipped=1)
    if protocol != 'tap':
        tally = Tally(passed=int(went_well))
    else:
        tally = count_tap(result.get('stdout') or '', where)
    if not went_well and tally.failed == 0:
        tally.fail(f'{where}: {result["result"]} (exit code {result["returncode"]})')
    return tally


def show_output(result, where):
    """What a failed test printed, without the cases that went well."""
    say(f'--- {where}: {" ".join(result["command"])}')
    text = (result.get('stdout') or '') + (result.get('stderr') or '')
    lines = [line for line in text.splitlines() if not line.startswith('ok ')]
    if len(lines) > OUTPUT_LINES_MAX:
        say(f'    ({len(lines) - OUTPUT_LINES_MAX} lines left out)')
    for line in lines[-OUTPUT_LINES_MAX:]:
        say(f'    {line}')


def environment_of(name):
    environment = dict(os.environ, PYTHONUNBUFFERED='1')
    suppressions = ROOT / 'tests' / 'support' / 'tsan.txt'
    known = f':suppressions={suppressions}' if suppressions.exists() else ''
    environment['ASAN_OPTIONS'] = 'halt_on_error=1:abort_on_error=1:detect_leaks=1:strict_string_checks=1'
    environment['UBSAN_OPTIONS'] = 'halt_on_error=1:abort_on_error=1:print_stacktrace=1'
    environment['TSAN_OPTIONS'] = f'halt_on_error=1:second_deadlock_stack=1{known}'
    environment['KW_TEST_FLAVOUR'] = name
    return environment


def wrapper_of(name):
    """The thread sanitizer's shadow memory does not suit every way to lay out an address space at random."""
    steady = ['setarch', platform.machine(), '-R']
    if name == 'tsan' and subprocess.run([*steady, 'true'], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return ['--wrapper', ' '.join(steady)]
    return []


def run_meson(name, folder, tests):
    """Runs the tests, shows a line for each as it ends, and gives Meson's log of them."""
    for old in (folder / 'meson-logs').glob('testlog*.json'):
        old.unlink()
    command = ['meson', 'test', '-C', str(folder), '--no-rebuild', *wrapper_of(name), *[test['name'] for test in tests]]
    process = subprocess.Popen(command, cwd=ROOT, env=environment_of(name), text=True, errors='replace',
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    printed = []
    for line in process.stdout:
        printed.append(line)
        ended = ENDED_LINE.match(line)
        if ended:
            say(f'{name:8} {ended["number"]:>8}  {ended["test"]:36} {ended["result"]:8} {ended["rest"]}')
    process.wait()
    logs = list((folder / 'meson-logs').glob('testlog*.json'))
    if not logs:
        raise build.BuildError(''.join(printed))
    return [json.loads(line) for line in logs[0].read_text().splitlines()]


def targets_of(flavour, tests):
    """Ninja's names of what the tests need."""
    needed = {target for test in tests for target in test['depends']}
    files = [name for target in build.introspect(flavour, '--targets') if target['id'] in needed
             for name in target['filename']]
    return sorted(os.path.relpath(name, flavour.path) for name in files)


def tests_of(name, wanted):
    """The tests of a flavour whose names contain `wanted`, each name once."""
    flavour = build.configure(name)
    build.run(['ninja', '-C', str(flavour.path), 'build.ninja'], flavour)
    return {test['name']: test for test in build.introspect(flavour, '--tests')
            if name in flavours_of(test['suite']) and wanted in test['name']}


def run_flavour(name, wanted):
    tests = tests_of(name, wanted)
    whole = name == 'release' and not wanted
    if not tests and not whole:
        return Tally()
    flavour = build.build(name, [] if whole else targets_of(build.FLAVOURS[name], tests.values()))
    build.link_program(flavour)
    tally = Tally()
    if not tests:
        return tally
    reported = {}
    for result in run_meson(name, flavour.path, list(tests.values())):
        test_name = result['name'].rpartition(' / ')[2]
        where = f'{test_name} ({name})'
        reported[test_name] = count_result(result, tests[test_name]['protocol'], where)
        if reported[test_name].failed:
            show_output(result, where)
        tally.add(reported[test_name])
    for missing in tests.keys() - reported.keys():
        tally.fail(f'{missing} ({name}): did not run')
    return tally


def list_tests():
    for name in ORDER:
        for test in tests_of(name, ''):
            say(f'{name:8} {test}')
    return 0


def run_all(wanted):
    tally = Tally()
    for name in ORDER:
        try:
            tally.add(run_flavour(name, wanted))
        except build.BuildError as error:
            say(str(error))
            tally.fail(f'the {name} flavour does not build')
    return tally


def report(tally):
    if tally.failures:
        say('\nFailed:')
        for what in tally.failures:
            say(f'  {what}')
    if tally.skipped:
        say(f'{tally.skipped} skipped')
    if tally.passed + tally.failed == 0:
        complain('no test ran')
    say(f'{tally.passed} passed, {tally.failed} failed')
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


def main(arguments):
    if arguments[:1] == ['--list']:
        return list_tests()
    if len(arguments) > 1 or (arguments and arguments[0].startswith('-')):
        complain(__doc__)
        return 2
    return report(run_all(arguments[0] if arguments else ''))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
