"""The rules of the house that a script can see. Findings on standard output, exit code 1 when there is one.

Every rule is a function from a path and a text to findings, so that tools/test_rules.py can show each of them fail.
An exception is a row in one of the tables here, with its reason.
"""

import ast
import re
import sys

from c_text import Finding, code_of, functions_of, line_of
from project import own_files, relative, say

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# Nowhere. A name, and what to use instead.
FORBIDDEN_CALLS = {
    'strcpy': 'kw_buffer_add', 'strcat': 'kw_buffer_add', 'strncpy': 'memcpy of a known size',
    'strncat': 'kw_buffer_add', 'stpcpy': 'kw_buffer_add',
    'sprintf': 'snprintf or kw_buffer_add_format', 'vsprintf': 'vsnprintf',
    'gets': 'a read with a size', 'scanf': 'kw_bytes_to_u64', 'sscanf': 'kw_bytes_to_u64', 'fscanf': 'kw_bytes_to_u64',
    'system': 'nothing: no shell is run', 'popen': 'nothing: no shell is run',
    'rand': 'struct kw_entropy', 'srand': 'struct kw_entropy', 'random': 'struct kw_entropy',
    'rand_r': 'struct kw_entropy', 'drand48': 'struct kw_entropy',
    'atoi': 'kw_bytes_to_u64', 'atol': 'kw_bytes_to_u64', 'atoll': 'kw_bytes_to_u64', 'atof': 'kw_bytes_to_u64',
    'strtok': 'kw_bytes_split', 'alloca': 'an array with a stated size, or an arena',
    'mktemp': 'mkstemp', 'tmpnam': 'mkstemp', 'tempnam': 'mkstemp',
    'localtime': 'base/time.h', 'gmtime': 'base/time.h', 'asctime': 'base/time.h', 'ctime': 'base/time.h',
    'setjmp': 'a status', 'longjmp': 'a status',
}

# In src/, only in the file that is named. A name, and what others call.
HEAP = 'src/base/memory.c'
CLOCK = 'src/base/clock.c'
HOMES = {
    **{name: (HEAP, 'kw_alloc and kw_free') for name in (
        'malloc', 'calloc', 'realloc', 'reallocarray', 'free', 'strdup', 'strndup', 'asprintf', 'vasprintf',
        'aligned_alloc', 'posix_memalign', 'memalign')},
    **{name: (CLOCK, 'struct kw_clock or kw_monotonic_ns') for name in (
        'clock_gettime', 'gettimeofday', 'time', 'timespec_get', 'uv_hrtime', 'uv_clock_gettime')},
    **{name: (CLOCK, 'struct kw_entropy') for name in (
        'getrandom', 'getentropy', 'RAND_bytes', 'RAND_priv_bytes', 'arc4random', 'uv_random')},
}

# (file, call): why it may be made there all the same.
CALLS_ALLOWED = {}

# Who may look at the bytes of a secret, and for what.
SECRET_READERS = {
    'src/base/secret.h': 'declares it',
    'src/base/secret.c': 'fills it',
    'src/core/digest.c': 'the pepper, into the states of the digest',
    'src/core/key.c': 'a key, as it is drawn',
    'src/core/signing.c': 'a seed, into the key that signs',
    'src/engine/peppers.c': 'peppers, as they are handed in and kept',
    'src/engine/prepare.c': 'a new key, for its digest and last four characters',
    'src/engine/root.c': 'a root key that was chosen, for its digest',
    'src/engine/library.c': 'a new key, into the struct that shows it to the program',
    'src/core/sealing.c': 'secrets of webhooks and channels, to seal them, and the key for that',
    'src/core/webhook_signing.c': 'secrets of webhooks, to sign and to show a new one',
    'src/notify/messages.c': 'the URL of a chat, to send to it',
    'src/notify/outgoing_mail.c': 'the password of the mail relay, for libcurl',
    'src/server/route_documents.c': 'the secret of a new webhook, into the answer to its creation',
    'src/server/route_keys.c': 'a new key, into the answer to its creation',
    'src/server/route_many.c': 'new keys, into the answer to their creation',
    'src/cli/banner.c': 'a new root key, onto the terminal',
    'src/cli/root_key.c': 'a new root key, into its file',
    'src/cli/cmd_generate.c': 'a key that nobody keeps, onto the terminal',
    'src/cli/target_http.c': 'the management key, into the Authorization header',
}

SECRET_BYTES = re.compile(r'\bkw_secret_expose\b|->hidden\b|\.hidden\b')

# A secret is compared by kw_constant_time_equal, never by these.
LEAKY_COMPARISON = re.compile(r'\b(memcmp|bcmp|strcmp|strncmp|strcasecmp|kw_bytes_equal|kw_bytes_compare)\s*\(')
SECRET_WORD = re.compile(r'secret|pepper|hidden', re.IGNORECASE)

# Written in pieces, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK)\b')
PLACES = re.compile(r'(?<![\w.])/(?:work|farm|root|home|Users)/\w|deb\.debian\.|\.debian\.org/debian\b|registry\.npm|'
                    r'pypi\.org|python' r'hosted|crates\.io|proxy\.golang')

C_FOLDERS = ('src/', 'include/', 'examples/', 'tests/', 'bench/')


def call_of(name):
    """A call of exactly that function: not a method, not a part of a longer name, not a declaration of our own."""
    return re.compile(rf'(?<![\w.>])({name})\s*\(')


def arguments_at(code, start):
    """What stands between an opening parenthesis, which ends before `start`, and its closing one."""
    depth, end = 1, start
    while end < len(code) and depth > 0:
        depth += {'(': 1, ')': -1}.get(code[end], 0)
        end += 1
    return code[start:end]


FORBIDDEN_CALL = call_of('|'.join(FORBIDDEN_CALLS))
HOME_CALL = call_of('|'.join(HOMES))


def check_calls(path, text):
    code = code_of(text)
    for match in FORBIDDEN_CALL.finditer(code):
        name = match.group(1)
        if (path, name) not in CALLS_ALLOWED:
            yield Finding(path, line_of(code, match.start()), f'{name} is forbidden: use {FORBIDDEN_CALLS[name]}')


def check_homes(path, text):
    """The heap, the clock and entropy each have one home. Tests and benchmarks stand outside."""
    if not path.startswith('src/'):
        return
    code = code_of(text)
    for match in HOME_CALL.finditer(code):
        home, instead = HOMES[match.group(1)]
        if path != home and (path, match.group(1)) not in CALLS_ALLOWED:
            yield Finding(path, line_of(code, match.start()), f'{match.group(1)} belongs to {home}: use {instead}')


def check_secrets(path, text):
    if not path.startswith('src/'):
        return
    code = code_of(text)
    for match in SECRET_BYTES.finditer(code):
        if path not in SECRET_READERS:
            yield Finding(path, line_of(code, match.start()),
                          'looks at the bytes of a secret: if it must, enter the file in SECRET_READERS')
    for match in LEAKY_COMPARISON.finditer(code):
        if SECRET_WORD.search(arguments_at(code, match.end())):
            yield Finding(path, line_of(code, match.start()), 'a secret is compared with kw_constant_time_equal')


def check_c_functions(path, text):
    for name, line, count in functions_of(text):
        if count > FUNCTION_LINES_MAX:
            yield Finding(path, line, f'{name} has {count} lines, {FUNCTION_LINES_MAX} at most')


def check_python_functions(path, text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            count = node.end_lineno - node.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield Finding(path, node.lineno, f'{node.name} has {count} lines, {FUNCTION_LINES_MAX} at most')


def check_length(path, text):
    count = text.count('\n')
    if count > FILE_LINES_MAX:
        yield Finding(path, count, f'{count} lines, {FILE_LINES_MAX} at most')


def check_header(path, text):
    """A header begins by telling a newcomer what it is for."""
    if not text.startswith('/*'):
        yield Finding(path, 1, 'a header begins with a paragraph on what it is for')


def check_documented(path, text):
    """Every public function has a comment in its paragraph."""
    if not path.startswith('include/keyward/'):
        return
    number = 1
    for paragraph in re.split(r'\n[ \t]*\n', text):
        declared = re.search(r'^KW_API\b[^;]*?(\w+)\s*\(', paragraph, re.MULTILINE)
        if declared and '/*' not in paragraph[:declared.start()]:
            yield Finding(path, number + paragraph.count('\n', 0, declared.start()),
                          f'{declared.group(1)} is public and needs a comment before it')
        number += paragraph.count('\n') + 2


def check_words(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        unfinished, place = UNFINISHED.search(line), PLACES.search(line)
        if unfinished:
            yield Finding(path, number, f'{unfinished.group(0)}: finish it, or open an issue')
        if place:
            yield Finding(path, number, f'{place.group(0)}: the path of one machine, or the host of a registry')


def rules_for(path):
    yield check_words
    if path.endswith(('.c', '.h', '.py', '.sh')) or path == 'dev':
        yield check_length
    if path.endswith('.py'):
        yield check_python_functions
    if path.endswith(('.c', '.h')) and path.startswith(C_FOLDERS):
        yield from (check_calls, check_homes, check_secrets, check_c_functions)
    if path.endswith('.h'):
        yield from (check_header, check_documented)


def check(path, text):
    """All findings in one file; `path` is relative to the project."""
    return [finding for rule in rules_for(path) for finding in rule(path, text)]


def check_tables():
    """An entry for a file that is gone, or no longer needs it, is an invitation."""
    for path in SECRET_READERS:
        matches = [file for file in own_files('.c', '.h', under='src') if relative(file) == path]
        if not matches or not SECRET_BYTES.search(code_of(matches[0].read_text())):
            yield Finding('tools/check_rules.py', 1, f'SECRET_READERS names {path}, which looks at no secret')


def main():
    findings = list(check_tables())
    for file in own_files():
        path = relative(file)
        if path.startswith('tests/fuzz/corpus/'):
            continue
        try:
            findings += check(path, file.read_text(encoding='utf-8'))
        except UnicodeDecodeError:
            continue
    for finding in findings:
        say(finding)
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
