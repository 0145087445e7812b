"""The arrows: base <- core <- store, scan <- engine <- notify <- server, cli. Fails when an include goes against one.

    check_includes.py     all of the project's C; findings on standard output, exit code 1 when there is one
"""

import re
import sys

from c_text import Finding, code_of, line_of
from project import own_files, relative, say

# What a room may include of the others.
ROOMS = {
    'base': {'base'},
    'core': {'base', 'core'},
    'store': {'base', 'core', 'store'},
    'scan': {'base', 'core', 'scan'},
    'engine': {'base', 'core', 'store', 'scan', 'engine'},
    'notify': {'base', 'core', 'engine', 'notify'},
    'server': {'base', 'core', 'scan', 'engine', 'notify', 'server'},
    'cli': {'base', 'core', 'store', 'scan', 'engine', 'notify', 'server', 'cli'},
}

# What a room may include of include/keyward; rooms that are not named here, all of it.
PUBLIC = {
    'base': {'types.h', 'codes.h'},
    'core': {'types.h', 'codes.h', 'audit.h', 'import.h', 'missing.h', 'record.h', 'document.h'},
    'store': {'types.h', 'codes.h', 'record.h', 'store.h', 'store_delivery.h'},
    'scan': {'types.h', 'codes.h', 'record.h'},
}

# The core reaches nothing outside its arguments: no files, no clock, no threads, no entropy. These are all it gets.
CORE_SYSTEM = {'assert.h', 'immintrin.h', 'inttypes.h', 'limits.h', 'stdalign.h', 'stdarg.h', 'stdbool.h', 'stddef.h',
               'stdint.h', 'string.h', 'openssl/'}

# Public headers need nothing that is not in every C and C++.
PUBLIC_SYSTEM = {'stdbool.h', 'stddef.h', 'stdint.h', 'string.h'}

# Each library is touched in one place, so that it can be replaced.
LIBRARIES = {
    'uv.h': ('src/server/',),
    'llhttp.h': ('src/server/',),
    'sqlite3.h': ('src/store/sqlite',),
    'urcu': ('src/engine/',),
    'curl/': ('src/cli/', 'src/notify/outgoing'),
    'maxminddb.h': ('src/server/geo.c',),
    'openssl/': ('src/core/', 'src/server/'),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def listed(header, names):
    """True when a list names the header, or the folder or family that it belongs to."""
    return any(header == name or (not name.endswith('.h') and header.startswith(name)) for name in names)


def home_of(path):
    """The room of a source, "public" for the public headers, None for tests, benchmarks and the like."""
    parts = path.split('/')
    if parts[0] == 'src' and len(parts) > 2:
        return parts[1]
    return 'public' if parts[:2] == ['include', 'keyward'] else None


def check_project_header(path, home, header):
    """What is wrong with including one of our own headers, or None."""
    room, _, name = header.partition('/')
    if room == 'keyward':
        allowed = PUBLIC.get(home)
        return None if allowed is None or name in allowed else f'{home} may not include <{header}>'
    if home == 'public' or path.startswith('examples/'):
        return f'only public headers may be included here, not "{header}"'
    if home is None or room not in ROOMS:
        return None
    return None if room in ROOMS[home] else f'the arrows forbid that {home} includes "{header}"'


def check_system_header(path, home, header):
    """What is wrong with including a header of the system or of a library, or None."""
    if home == 'core' and not listed(header, CORE_SYSTEM):
        return f'the core is pure: <{header}> has no business here'
    if home == 'public' and not listed(header, PUBLIC_SYSTEM):
        return f'public headers do without <{header}>'
    for library, homes in LIBRARIES.items():
        if path.startswith('src/') and listed(header, {library}) and not path.startswith(homes):
            return f'<{header}> belongs to {" and ".join(homes)} alone'
    return None


def check(path, text):
    """All findings in one file; `path` is relative to the project."""
    home = home_of(path)
    if home not in (None, 'public') and home not in ROOMS:
        return [Finding(path, 1, f'src/{home} is no room that tools/check_includes.py knows')]
    findings = []
    for match in INCLUDE.finditer(code_of(text, keep_strings=True)):
        header = match.group(2)
        ours = match.group(1) == '"' or header.startswith('keyward/')
        if header.endswith('.c'):
            problem = f'a source includes no source: {header}'
        elif ours:
            problem = check_project_header(path, home, header)
        else:
            problem = check_system_header(path, home, header)
        if problem:
            findings.append(Finding(path, line_of(text, match.start()), problem))
    return findings


def main():
    findings = [finding for file in own_files('.c', '.h') for finding in check(relative(file), file.read_text())]
    for finding in findings:
        say(finding)
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
