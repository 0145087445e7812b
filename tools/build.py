"""Configures and builds Keyward in its flavours, each in a folder of its own.

    build.py FLAVOUR [TARGET...]
"""

import dataclasses
import json
import os
import subprocess
import sys
import time

from project import BUILD_ROOT, ROOT, complain, say


@dataclasses.dataclass(frozen=True)
class Flavour:
    folder: str
    options: tuple
    compiler: str = ''

    @property
    def path(self):
        return BUILD_ROOT / self.folder


# Warnings are errors in the release flavour only: instrumentation makes compilers warn of what is not there.
FLAVOURS = {
    'release': Flavour('build', ('-Dbuildtype=debugoptimized', '-Doptimization=3', '-Db_ndebug=true')),
    'asan': Flavour('build-asan', ('-Dbuildtype=debugoptimized', '-Db_ndebug=false', '-Dwerror=false',
                                   '-Db_sanitize=address,undefined', '-Db_lundef=false')),
    'tsan': Flavour('build-tsan', ('-Dbuildtype=debugoptimized', '-Db_ndebug=false', '-Dwerror=false',
                                   '-Db_sanitize=thread', '-Db_lundef=false')),
    'fuzz': Flavour('build-fuzz', ('-Dbuildtype=debugoptimized', '-Db_ndebug=false', '-Dwerror=false',
                                   '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dfuzz=true',
                                   '-Dc_args=-fsanitize=fuzzer-no-link'), 'clang'),
    'cover': Flavour('build-cover', ('-Dbuildtype=debug', '-Db_ndebug=false', '-Dwerror=false', '-Db_coverage=true')),
}


class BuildError(Exception):
    """Carries what the tool printed."""


def failures_of(output):
    """Meson's and Ninja's output without what went well."""
    lines = output.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith('FAILED:') or ' ERROR: ' in line), 0)
    return '\n'.join(line for line in lines[first:] if not line.startswith('['))


def run(command, flavour):
    environment = dict(os.environ)
    if flavour.compiler:
        environment['CC'] = flavour.compiler
    result = subprocess.run(command, cwd=ROOT, env=environment, text=True, errors='replace', check=False,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise BuildError(failures_of(result.stdout))
    return result.stdout


def configure(name):
    """Makes the build folder, or makes it anew when it was made with other options."""
    flavour = FLAVOURS[name]
    stamp = flavour.path / 'flavour.json'
    wanted = json.dumps([flavour.compiler, *flavour.options])
    if (flavour.path / 'build.ninja').exists() and stamp.exists() and stamp.read_text() == wanted:
        return flavour
    wipe = ['--wipe'] if (flavour.path / 'meson-private' / 'coredata.dat').exists() else []
    run(['meson', 'setup', *wipe, str(flavour.path), str(ROOT), *flavour.options], flavour)
    stamp.write_text(wanted)
    return flavour


def introspect(flavour, what):
    return json.loads(run(['meson', 'introspect', str(flavour.path), what], flavour))


def build(name, targets=()):
    """Configures and builds; says how long it took."""
    start = time.monotonic()
    flavour = configure(name)
    command = ['ninja', '-C', str(flavour.path), *targets]
    if sys.stdout.isatty():
        if subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL).returncode != 0:
            raise BuildError('ninja failed: see above')
    else:
        run(command, flavour)
    say(f'build {name}: done in {time.monotonic() - start:.0f} s')
    return flavour


def link_program(flavour):
    """Puts the program where the documentation says it is: build/keyward."""
    built = flavour.path / 'src' / 'cli' / 'keyward'
    link = flavour.path / 'keyward'
    if built.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(built.relative_to(flavour.path))


def main(arguments):
    if not arguments or arguments[0] not in FLAVOURS:
        complain(__doc__)
        return 2
    try:
        flavour = build(arguments[0], arguments[1:])
    except BuildError as error:
        complain(f'{error}\nbuild {arguments[0]}: FAILED')
        return 1
    link_program(flavour)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
