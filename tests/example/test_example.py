"""What a user of libkeyward gets: the installed headers, libraries and pkg-config file, and a program built with just
them.

    test_example.py BUILD-FOLDER HEADERS ISSUE-AND-VERIFY GRANT-RESOURCES [NAME]
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback

SECONDS_MAX = 300
WARNINGS = ['-Wall', '-Wextra', '-Werror', '-pedantic']
KEY = re.compile(r'sk_live_[0-9A-Za-z]{38}')
EXPECTED = '''Your new key, shown this once: KEY
Valid: come in.
Refused, REVOKED: The key was revoked.
Keys of user:1:
  ID  Nightly export  revoked
'''

EXPECTED_OF_GRANTS = '''Editors:
  read website:123: yes
  write website:123: yes
  list website:7: yes
Readers:
  read website:123: yes
  write website:123: INSUFFICIENT_SCOPE
  list website:7: yes
Refused: resources INVALID_FIELD
'''


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(actual, expected, what):
    check(actual == expected, f'{what}:\n{actual}\ninstead of\n{expected}')


def run(*command, stdin='', **options):
    """What it printed; it must succeed."""
    done = subprocess.run([str(part) for part in command], input=stdin, text=True, check=False, timeout=SECONDS_MAX,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    check(done.returncode == 0, f'{shlex.join(str(part) for part in command)}: exit code {done.returncode}\n'
                                f'{done.stdout}{done.stderr}')
    return done.stdout


def compiler(*names):
    found = next((name for name in names if shutil.which(name)), None)
    check(found, f'none of these is installed: {", ".join(names)}')
    return found


class Installed:
    """Keyward, as `meson install` leaves it under a folder of ours."""

    def __init__(self, build, folder):
        self.root = pathlib.Path(folder, 'root')
        run('meson', 'install', '-C', build, '--no-rebuild', '--destdir', self.root)
        self.work = pathlib.Path(folder, 'work')
        self.work.mkdir()
        self.pc = self.one('keyward.pc')
        self.shared = self.one('libkeyward.so')
        self.static = self.one('libkeyward.a')

    def one(self, name):
        found = list(self.root.rglob(name))
        check(len(found) == 1, f'{name} was installed {len(found)} times')
        return found[0]

    def headers(self):
        return sorted(self.one('keyward.h').parent.glob('*.h'))

    def pkg_config(self, *options):
        """As `pkg-config OPTIONS keyward` says, seen from our folder."""
        environment = {**os.environ, 'PKG_CONFIG_PATH': str(self.pc.parent), 'PKG_CONFIG_SYSROOT_DIR': str(self.root)}
        return shlex.split(run('pkg-config', *options, 'keyward', env=environment))

    def build(self, source, name, flags):
        program = self.work / name
        cc = compiler('cc', 'gcc', 'clang')
        run(cc, '-std=c17', *WARNINGS, source, '-o', program, *flags)
        return program

    def needed(self, program):
        """The shared libraries that a program asks for."""
        return re.findall(r'Shared library: \[(.*)\]', run('readelf', '-d', program))


def without_chance(text):
    return re.sub(r'key_[0-9A-Z]{26}', 'ID', KEY.sub('KEY', text))


def run_example(installed, program):
    """Twice on one folder: the second time finds the first time's key."""
    folder = installed.work / f'{program.name}.data'
    environment = {**os.environ, 'LD_LIBRARY_PATH': str(installed.shared.parent)}
    first = run(program, folder, env=environment)
    equal(without_chance(first), EXPECTED, 'the first run')
    second = run(program, folder, env=environment)
    equal(without_chance(second), EXPECTED + EXPECTED.splitlines(keepends=True)[-1], 'the second run')
    key, other = KEY.search(first).group(), KEY.search(second).group()
    check(key != other, 'both runs made the same key')
    for path in folder.iterdir():
        content = path.read_bytes()
        check(key.encode() not in content and other.encode() not in content, f'a key stands in {path.name}')


# --- cases ---

def everything_is_installed(installed):
    names = {path.name for path in installed.headers()}
    equal(names, {path.name for path in HEADERS.glob('*.h')}, 'headers')
    check(installed.shared.resolve().name.startswith('libkeyward.so.'), 'the shared library has no version')
    equal(installed.pkg_config('--modversion'),
          [re.search(r"version: '([^']+)'", (HEADERS / '../../meson.build').read_text()).group(1)], 'version')
    check(os.access(next(installed.root.rglob('bin/keyward'), ''), os.X_OK), 'the program is not installed')


def example_with_shared_library(installed):
    program = installed.build(EXAMPLE, 'shared', installed.pkg_config('--cflags', '--libs'))
    check('libkeyward.so.0' in installed.needed(program), 'the shared library is not used')
    run_example(installed, program)


def example_with_static_library(installed):
    flags = ['-l:libkeyward.a' if flag == '-lkeyward' else flag
             for flag in installed.pkg_config('--static', '--cflags', '--libs')]
    program = installed.build(EXAMPLE, 'static', flags)
    check(not [name for name in installed.needed(program) if 'keyward' in name], 'the shared library is used')
    run_example(installed, program)


def example_of_resources(installed):
    program = installed.build(GRANTS, 'grants', installed.pkg_config('--cflags', '--libs'))
    environment = {**os.environ, 'LD_LIBRARY_PATH': str(installed.shared.parent)}
    equal(run(program, installed.work / 'grants.data', env=environment), EXPECTED_OF_GRANTS, 'what it says')


def example_says_what_is_wrong(installed):
    """A folder that cannot be: a clear message, no success."""
    program = installed.build(EXAMPLE, 'wrong', installed.pkg_config('--cflags', '--libs'))
    file = installed.work / 'a file'
    file.write_text('no folder')
    done = subprocess.run([program, file], capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
                          env={**os.environ, 'LD_LIBRARY_PATH': str(installed.shared.parent)})
    equal(done.returncode, 1, 'exit code')
    check(done.stdout == '' and 'cannot be opened' in done.stderr, f'{done.stdout}{done.stderr}')


def declared_functions(installed):
    """What the compiler finds declared in the installed headers, but for what stands there whole."""
    source, listing = installed.work / 'all.c', installed.work / 'all.txt'
    source.write_text(''.join(f'#include <keyward/{path.name}>\n' for path in installed.headers()))
    run(compiler('gcc'), '-std=c17', '-fsyntax-only', '-aux-info', listing, source, *installed.pkg_config('--cflags'))
    lines = [line for line in listing.read_text().splitlines() if '/keyward/' in line.split('*/')[0]]
    return {re.search(r'(\w+) \(', line.split('*/', 1)[1]).group(1) for line in lines if ' static ' not in line}


def exported_functions(installed):
    return {line.split()[-1].split('@')[0] for line in run('nm', '-D', '--defined-only', installed.shared).splitlines()}


def library_exports_its_interface_and_no_more(installed):
    declared, exported = declared_functions(installed), exported_functions(installed)
    check({'kw_open', 'kw_verify_many', 'kw_list_next', 'kw_code_info'} <= declared, f'too few: {sorted(declared)}')
    equal(sorted(exported), sorted(declared), 'exported')
    check(all(re.fullmatch(r'kw_[a-z0-9]\w*', name) for name in exported), f'names: {sorted(exported)}')


def headers_compile_alone(installed):
    """Each, from both languages, without a warning; and all of them twice."""
    flags = installed.pkg_config('--cflags')
    lines = [f'#include <keyward/{path.name}>\n' for path in installed.headers()]
    for text in [*lines, ''.join(lines) * 2]:
        for cc, language, standard in ((compiler('cc'), 'c', 'c17'), (compiler('g++', 'clang++'), 'c++', 'c++17')):
            run(cc, f'-std={standard}', *WARNINGS, '-fsyntax-only', '-x', language, *flags, '-', stdin=text)


def library_links_from_cpp(installed):
    source = installed.work / 'from.cpp'
    source.write_text('#include <keyward/keyward.h>\nint main()\n{\n    kw_id id{};\n    kw_close(nullptr);\n'
                      '    return kw_id_from_text(kw_text("no id"), &id) ? 1 : 0;\n}\n')
    program = installed.work / 'cpp'
    run(compiler('g++', 'clang++'), '-std=c++17', *WARNINGS, source, '-o', program,
        *installed.pkg_config('--cflags', '--libs'))
    run(program, env={**os.environ, 'LD_LIBRARY_PATH': str(installed.shared.parent)})


CASES = (everything_is_installed, example_with_shared_library, example_with_static_library, example_of_resources,
         example_says_what_is_wrong,
         library_exports_its_interface_and_no_more, headers_compile_alone, library_links_from_cpp)


def run_case(number, case, installed):
    try:
        case(installed)
        print(f'ok {number} - {case.__name__}', flush=True)
        return True
    except Exception as error:  # whatever it is, the case failed
        text = str(error) if isinstance(error, Failed) else traceback.format_exc()
        print(f'not ok {number} - {case.__name__}\n' + '\n'.join(f'# {line}' for line in text.splitlines()), flush=True)
        return False


def main():
    chosen = [case for case in CASES if len(sys.argv) < 6 or sys.argv[5] in case.__name__]
    print(f'TAP version 13\n1..{len(chosen)}', flush=True)
    with tempfile.TemporaryDirectory(prefix='keyward-example-') as folder:
        installed = Installed(sys.argv[1], folder)
        results = [run_case(number, case, installed) for number, case in enumerate(chosen, 1)]
    return 0 if all(results) else 1


HEADERS = pathlib.Path(sys.argv[2])
EXAMPLE = pathlib.Path(sys.argv[3])
GRANTS = pathlib.Path(sys.argv[4])

if __name__ == '__main__':
    sys.exit(main())
