"""Runs the benchmarks and holds their figures against the budgets.

    ./dev bench [NAME] [SECONDS] [--json] [-- ARGUMENT...]

A benchmark NAME is a program that Meson knows as bench_NAME, or an executable script bench/NAME.py or bench/NAME.sh (a
leading bench_ is left out); of two of the same name the script is run, since it may drive the program. It finds the
build folder in KW_BUILD and the project as its working folder, and prints one JSON object a line:

    {"bench": "verify", "name": "one by one, 1M keys", "value": 1.2, "unit": "x", "limit": 1.3, "ok": true}

`limit` and `ok` are null (or absent) for a figure without a budget. Whatever else it wants to say goes to standard
error. SECONDS and what stands behind -- are handed on to it. The exit code is 1 when a budget is missed or a benchmark fails.
"""

import json
import os
import subprocess
import sys

import build
from project import ROOT, complain, say

FIELDS = ('bench', 'name', 'value', 'unit', 'limit', 'ok')


def scripts():
    """Name to command."""
    found = {}
    for suffix, interpreter in (('.sh', 'bash'), ('.py', sys.executable)):
        for script in sorted((ROOT / 'bench').glob(f'*{suffix}')):
            if os.access(script, os.X_OK):
                found[script.stem.removeprefix('bench_')] = [interpreter, str(script)]
    return found


def programs(flavour):
    """Name to command, and Ninja's names of what must be built for all of them."""
    found, targets = {}, []
    for target in build.introspect(flavour, '--targets'):
        if target['type'] == 'executable' and target['name'].startswith('bench_'):
            found[target['name'].removeprefix('bench_')] = [target['filename'][0]]
            targets.append(os.path.relpath(target['filename'][0], flavour.path))
    return found, targets


def prepare():
    """Builds everything that is measured, and the programs that measure."""
    flavour = build.build('release')
    build.link_program(flavour)
    found, targets = programs(flavour)
    if targets:
        build.build('release', targets)
    return flavour, found | scripts()


def read_figure(name, line):
    """A figure from a line of JSON; None, and a complaint, from anything else."""
    try:
        figure = json.loads(line)
        return {field: figure.get(field) for field in FIELDS}
    except (ValueError, AttributeError):
        complain(f'{name}: not a figure: {line.rstrip()}')
        return None


def number(value):
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:,.3f}' if abs(value) < 100 else f'{value:,.0f}'
    return f'{value:,}' if isinstance(value, int) else str(value)


def row_of(figure):
    verdict = {True: 'ok', False: 'MISSED'}.get(figure['ok'], '')
    return (f'{figure["bench"] or "":8} {figure["name"] or "":50} {number(figure["value"]):>14} '
            f'{figure["unit"] or "":14} {number(figure["limit"]):>10}  {verdict}').rstrip()


def run(name, command, extra, as_json, flavour):
    """Shows each figure as it comes. True when the benchmark ran and met its budgets."""
    environment = dict(os.environ, KW_BUILD=str(flavour.path))
    process = subprocess.Popen([*command, *extra], cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    met, count = True, 0
    for line in process.stdout:
        figure = read_figure(name, line)
        if figure is None:
            met = False
            continue
        count += 1
        met = met and figure['ok'] is not False
        say(json.dumps(figure) if as_json else row_of(figure))
    status = process.wait()
    if status not in (0, 1) or count == 0:
        complain(f'{name}: failed (exit code {status}, {count} figures)')
        return False
    return met and status == 0


def main(arguments):
    split = arguments.index('--') if '--' in arguments else len(arguments)
    own, extra = arguments[:split], arguments[split + 1:]
    as_json = '--json' in own
    wanted = [argument for argument in own if argument != '--json' and not argument.isdigit()]
    extra = [argument for argument in own if argument.isdigit()] + extra
    try:
        if as_json:
            build.say = complain
        flavour, found = prepare()
    except build.BuildError as error:
        complain(str(error))
        return 1
    if any(name not in found for name in wanted) or not found:
        complain(f'{__doc__}\nBenchmarks: {", ".join(found) or "none"}')
        return 2
    if not as_json:
        say(f'{"bench":8} {"figure":50} {"value":>14} {"unit":14} {"limit":>10}')
    results = [run(name, found[name], extra, as_json, flavour) for name in wanted or found]
    if not all(results):
        complain('a budget was missed or a benchmark failed')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
