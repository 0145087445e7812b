"""The examples of the documentation: README.md and docs/*.md, run in their order against a server of the page's own; those of
the interface's description, sent to a server; those of the command line's help, run; those in the public headers, compiled.

    test_docs.py PROGRAM [NAME]

What a reader would put into variables or files is there: ROOT and KEYWARD_KEY are the root key, KEYWARD_URL the server
(127.0.0.1:7411 on the page), KEY and ID the last key that was made and its id, `key-file` and `key.txt` hold that key, and
`key_…` is its id. In outputs keys, ids and times may be others, and `…` is anything.
"""

import csv
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback

import yaml
from doc_blocks import Bad, blocks_of, comment_examples

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'http'))
import api_support  # noqa: E402
from api_support import Failed, check, equal  # noqa: E402

SECONDS_MAX = 120
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
ELSEWHERE = {'nginx': 'tests/http/test_proxy.py'}
# Pages whose examples go on from one to the next on a data folder, beside tests of their own.
PAGES_ELSEWHERE = {'batch.md': 'tests/cli/test_pages.py', 'export.md': 'tests/cli/test_export.py',
                   'import.md': 'tests/cli/test_pages.py'}
# What the commands of the help read.
HELP_FILES = {'keys.csv': 'token,customer\nacme_0123456789abcdef,7\n', 'customers.csv': 'mail,ownerId\nada@example.org,7\n'}
ADDRESS = '127.0.0.1:7411'
KEY = re.compile(r'\b[a-z][a-z0-9_-]*_[0-9A-Za-z]{38,}\b')
ID = re.compile(r'key_[0-7][0-9A-HJKMNP-TV-Z]{25}')
TIME = re.compile(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?')
# What the C of a page may take for granted.
C_BEFORE = '''#include <keyward/keyward.h>
#include <stdio.h>
int fail(const char *message); void show(const char *key); void serve_the_request(void);
int example(struct keyward *kw, const char *sent);
'''


def environment(**more):
    kept = {name: os.environ[name] for name in ('PATH', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS') if name in os.environ}
    return {**kept, 'LANG': 'C.UTF-8', **more}


def masked(text):
    return TIME.sub('TIME', KEY.sub('KEY', ID.sub('ID', text)))


def check_output(actual, expected, where):
    """Line by line; `…` is anything, also several lines."""
    wanted = '(?s:.*)'.join(re.escape(part) for part in masked(expected.replace('key_…', 'ID')).strip().split('…'))
    check(re.fullmatch(wanted, masked(actual).strip()), f'{where}: it prints\n{actual}\ninstead of\n{expected}')


def check_json(actual, expected, where):
    """What is shown must be there; what is not shown may be."""
    if isinstance(expected, dict):
        check(isinstance(actual, dict), f'{where} is {actual!r}')
        for name, value in expected.items():
            check(name in actual, f'{where}.{name} is not there: {actual!r}')
            check_json(actual[name], value, f'{where}.{name}')
    elif isinstance(expected, list):
        equal(len(actual), len(expected), f'{where}: items')
        for at, value in enumerate(expected):
            check_json(actual[at], value, f'{where}[{at}]')
    elif isinstance(expected, str) and isinstance(actual, str):
        check_output(actual, expected, where)
    else:
        equal(actual, expected, where)


def parse_json(text, where):
    def members(pairs):
        check(len({name for name, _ in pairs}) == len(pairs), f'{where}: a member stands twice')
        return dict(pairs)
    try:
        return json.loads(text, object_pairs_hook=members)
    except ValueError as error:
        raise Failed(f'{where} is no JSON: {error}') from error


def check_data(block):
    """That it is what it says."""
    where = str(block)
    if block.language == 'json':
        parse_json(block.text, where)
    elif block.language == 'ndjson':
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            parse_json(line, f'{block.page.name}:{number}')
    elif block.language == 'csv':
        widths = {len(row) for row in csv.reader(block.text.splitlines(), strict=True)}
        equal(len(widths), 1, f'{where}: widths of its rows {widths}')
    else:
        try:
            list(yaml.safe_load_all(block.text))
        except yaml.YAMLError as error:
            raise Failed(f'{where} is no YAML: {error}') from error


def compile_c(text, where):
    """A fragment stands in a function; what has a `main` stands for itself."""
    text = text.replace('…', '')
    if 'main(' not in text:
        includes = [line for line in text.splitlines() if line.startswith('#include')]
        rest = '\n'.join(line for line in text.splitlines() if not line.startswith('#include'))
        rest = re.sub(r'^\s*struct keyward \*kw;\n', '', rest, flags=re.MULTILINE)
        text = '\n'.join(includes) + f'\n{C_BEFORE}int example(struct keyward *kw, const char *sent)\n{{\n(void)sent;\n{rest}\nreturn 0;\n}}\n'
    done = subprocess.run(['cc', '-std=c17', '-Wall', '-Werror', '-Wno-unused-but-set-variable',
                           '-Wno-unused-variable', '-fsyntax-only', '-I', str(ROOT / 'include'), '-x', 'c', '-'],
                          input=text, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    equal(done.returncode, 0, f'{where} does not compile: {done.stderr}')


class Reader:
    """Somebody who tries one page: a shell that goes on from block to block, in a folder of its own, beside a server."""

    def __init__(self, program, files):
        self.program = program
        self.server = api_support.Server(program)
        self.folder = tempfile.TemporaryDirectory(prefix='keyward-docs-')
        self.path = pathlib.Path(self.folder.name)
        self.bin = tempfile.TemporaryDirectory(prefix='keyward-docs-bin-')
        os.symlink(program, pathlib.Path(self.bin.name, 'keyward'))
        os.symlink(self.bin.name, self.path / 'build')
        for name, text in files.items():
            (self.path / name).write_text(text, encoding='utf-8')
        self.variables = {'ROOT': self.server.root, 'KEYWARD_KEY': self.server.root,
                          'KEYWARD_URL': f'http://127.0.0.1:{self.server.port}'}
        self.printed = ''
        self.take_key(*self.server.create({'ownerId': '1', 'scopes': ['*'], 'quota': {'limit': 10000, 'period': 'month'}}))
        self.shell = subprocess.Popen(['bash', '--noprofile', '--norc'], cwd=self.path, stdin=subprocess.PIPE, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      env=environment(PATH=f'{self.bin.name}:{os.environ["PATH"]}'))
        self.shell.stdin.write("set -E; trap 'KW_FAILED=${KW_FAILED:-$BASH_COMMAND}' ERR\n")

    def close(self):
        self.shell.stdin.close()
        self.shell.stdout.read()
        self.shell.wait(timeout=SECONDS_MAX)
        self.shell.stdout.close()
        self.server.close()
        self.folder.cleanup()
        self.bin.cleanup()

    def take_key(self, key, record):
        self.variables.update(KEY=key, ID=record['id'])
        for name in ('key-file', 'key.txt'):
            (self.path / name).write_text(key + '\n', encoding='utf-8')

    def take_keys(self):
        """The key that was just shown, if one was."""
        shown = list(KEY.finditer(self.printed))
        behind = ID.search(self.printed, shown[-1].end()) if shown else None
        if behind:
            self.take_key(shown[-1].group(), {'id': behind.group()})

    def run(self, text):
        """Standard output, what it says on standard error, the last exit code, and the command that failed."""
        text = text.replace(ADDRESS, f'127.0.0.1:{self.server.port}').replace('key_…', self.variables['ID'])
        script = self.path / '.block'
        script.write_text(text, encoding='utf-8')
        exports = ' '.join(f'{name}={shlex.quote(value)}' for name, value in self.variables.items())
        self.shell.stdin.write(f'export {exports}; KW_FAILED=\n. ./.block > .out 2> .err < /dev/null\n'
                               'echo "done $? $KW_FAILED"\n')
        self.shell.stdin.flush()
        answer = self.shell.stdout.readline()
        check(answer.startswith('done '), f'the shell ended: {answer}')
        _, code, failed = answer.rstrip('\n').split(' ', 2)
        self.printed = (self.path / '.out').read_text(encoding='utf-8')
        said = (self.path / '.err').read_text(encoding='utf-8')
        self.take_keys()
        return int(code), failed, said

    def run_block(self, block):
        if re.match(r'(?:build/)?keyward serve\b', block.text):
            self.serve(block)
            return
        code, failed, said = self.run(block.text)
        wanted = block.option('exit')
        if wanted is not None:
            equal(code, int(wanted), f'{block}: exit code\n{self.printed}{said}')
        else:
            check(not failed and code == 0, f'{block}: {failed or "it"} failed with {code}\n{self.printed}{said}')
            check('"requestId"' not in self.printed, f'{block}: it is refused: {self.printed}')

    def serve(self, block):
        """A server that the page starts: it starts and ends well."""
        arguments = shlex.split(block.text.replace('\\\n', ' '), comments=True)[2:]
        command = [self.program, 'serve', *arguments, '--listen', '127.0.0.1:0', '--data', str(self.path / f'data-{block.line}')]
        process = subprocess.Popen(command, cwd=self.path, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        line = next((line for line in process.stdout if 'listens on' in line), '')
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=SECONDS_MAX)
        check(line and process.returncode == 0, f'{block}: exit code {process.returncode}\n{said}')

    def run_console(self, block):
        """Commands behind `$ `, each with what it prints."""
        parts = re.split(r'^\$ ', block.text, flags=re.MULTILINE)
        check(not parts[0].strip() and len(parts) > 1, f'{block}: begins with no command')
        for part in parts[1:]:
            command, _, expected = re.match(r'((?:.*\\\n)*.*)(\n?)((?s:.*))', part).groups()
            _, _, said = self.run(command + '\n')
            check_output(self.printed + said, expected, f'{block}: {command}')

    def check_printed(self, block):
        if block.language == 'json':
            check_json(parse_json(self.printed, f'what is printed before {block}'), parse_json(block.text, str(block)), str(block))
        else:
            check_output(self.printed, block.text, str(block))


def try_block(reader, block):
    if 'output' in block.words and block.language in ('json', 'text'):
        reader.check_printed(block)
    elif block.language in ('sh', 'bash'):
        reader.run_block(block)
    elif block.language == 'console':
        reader.run_console(block)
    elif block.language in ('json', 'ndjson', 'csv', 'yaml'):
        check_data(block)
    elif block.language == 'c':
        compile_c(block.text, str(block))
    elif block.language == 'text':
        check(block.words, f'{block}: say behind `text` why this is not run')
    elif block.language in ELSEWHERE:
        check(block.page.name in (ROOT / ELSEWHERE[block.language]).read_text(encoding='utf-8'), f'{block}: nobody runs it')
    else:
        raise Failed(f'{block}: nobody knows how to run {block.language or "a block without a language"}: name a language '
                     'behind its fence, or `text` and the reason why it is not run')


def try_page(page, files):
    if page.name in PAGES_ELSEWHERE:
        runner = ROOT / PAGES_ELSEWHERE[page.name]
        check(page.name in runner.read_text(encoding='utf-8').replace("', '", '/'), f'{page.name}: nobody runs it')
        return
    reader = None
    try:
        blocks = blocks_of(page)
        reader = Reader(PROGRAM, files)
        for block in blocks:
            try_block(reader, block)
    except Bad as error:
        raise Failed(str(error)) from error
    finally:
        if reader is not None:
            reader.close()


# --- the interface's description ---

EXAMPLE_KEY = re.compile(r'sk_live_EXAMPLE\w+')
EXAMPLE_IDS = ('key_01JD5W3K2M8Q4T6V9X0Z1B3D5F', 'key_01JD5VZZ0A1B2C3D4E5F6G7H8J')
NAMES = {'projects': 'shop', 'policies': 'partners', 'templates': 'ci', 'webhooks': 'orders', 'channels': 'team'}


def examples_of(content):
    """(name, value) of each."""
    if 'example' in content:
        yield 'example', content['example']
    for name, example in content.get('examples', {}).items():
        yield name, example['value']


def operations_of(document):
    for path, operations in document['paths'].items():
        for method, operation in operations.items():
            if method in ('get', 'post', 'put', 'patch', 'delete'):
                yield method.upper(), path, operation


def prepare(server, path, example):
    """Fresh keys in the place of those that the example names: (path, body)."""
    made = [server.create({'ownerId': '1', 'orgId': 'acme', 'tags': ['nightly'], 'scopes': ['orders:read'],
                           'quota': {'limit': 10000, 'period': 'month'}, 'resources': {'website:123': ['write']}}) for _ in EXAMPLE_IDS]
    ids = [record['id'] for _, record in made]
    for name in ('b', 'c'):
        server.expect(200, 'PATCH', f'/v1/keys/{ids[1]}', {'name': name})  # it is of version 3 then
    if path.endswith('/enable'):
        server.expect(200, 'POST', '/v1/keys/disable', {'ids': ids})
    text = EXAMPLE_KEY.sub(made[0][0], json.dumps(example))
    for old, new in zip(EXAMPLE_IDS, ids):
        text = text.replace(old, new)
    body = json.loads(text)
    if isinstance(body, dict) and 'digest' in body:
        body['digest'] = server.digest(made[0][0])
    name = NAMES.get(path.split('/')[2], '')
    return path.replace('{id}', ids[0]).replace('{name}', name), body


def promised(operation, name):
    """What the example of the answer says of each item; nothing where it has none."""
    content = operation['responses'].get('200', {}).get('content', {}).get('application/json', {})
    answer = dict(examples_of(content)).get(name)
    return [(item.get('status'), item.get('code')) for item in answer.get('items', [])] if isinstance(answer, dict) else []


def try_request(server, method, path, operation, name, example):
    where = f'{method} {path}, example {name}'
    real, body = prepare(server, path, example)
    try:
        answer = server.call(method, real, body)
    except Failed as failed:
        raise Failed(f'{where}: {failed}') from failed
    check(answer.status in (200, 201), f'{where}: {answer.body.decode()}')
    items = answer.json.get('items', [])
    expected = promised(operation, name)
    for at, item in enumerate([answer.json, *items]):
        is_promised = len(expected) == len(items) and at > 0 and (item.get('status'), item.get('code')) == expected[at - 1]
        is_good = item.get('valid', True) and item.get('status') not in range(400, 600)
        check(is_good or is_promised, f'{where}: {answer.body.decode()}')


def requests_of_the_description_are_answered():
    server = api_support.Server(PROGRAM)
    try:
        count = 0
        for method, path, operation in operations_of(server.schemas.document):
            content = operation.get('requestBody', {}).get('content', {})
            for name, example in examples_of(content.get('application/json', {})):
                try_request(server, method, path, operation, name, example)
                count += 1
        check(count > 20, f'only {count} examples')
    finally:
        server.close()


def walk_schemas(node, where):
    """Every schema that has examples."""
    if isinstance(node, dict):
        if isinstance(node.get('examples'), list):
            yield where, node
        for name, inner in node.items():
            yield from walk_schemas(inner, f'{where}.{name}')
    elif isinstance(node, list):
        for at, inner in enumerate(node):
            yield from walk_schemas(inner, f'{where}[{at}]')


def answers_of_the_description_are_as_described():
    server = api_support.Server(PROGRAM)
    try:
        schemas, count = server.schemas, 0
        for method, path, operation in operations_of(schemas.document):
            for status, response in operation['responses'].items():
                for media, content in schemas.follow(response).get('content', {}).items():
                    for name, example in examples_of(content) if 'json' in media else ():
                        schemas.check(content['schema'], example, f'{method} {path} {status}, example {name}')
                        count += 1
        for where, schema in walk_schemas(schemas.document['components'], 'components'):
            for example in schema['examples']:
                schemas.check(schema, example, f'{where}, example {example!r}')
                count += 1
        check(count > 20, f'only {count} examples')
    finally:
        server.close()


# --- help, headers ---

def help_of(*arguments):
    done = subprocess.run([PROGRAM, 'help', *arguments], capture_output=True, text=True, check=True, timeout=SECONDS_MAX,
                          env=environment())
    return done.stdout


def examples_of_the_help_run():
    commands = re.findall(r'^  (\w+)  ', help_of().split('Commands\n')[1], re.MULTILINE)
    check('create' in commands and len(commands) > 10, f'commands: {commands}')
    for command in commands:
        example = re.search(r'^Example\n((?:  .*\n)+)', help_of(command) + '\n', re.MULTILINE)
        if example is None or 'keyward serve' in example[1]:
            continue
        reader = Reader(PROGRAM, {**FILES, **HELP_FILES})
        try:
            reader.server.expect(201, 'POST', '/v1/projects',
                                 {'name': 'shop', 'environments': [{'name': 'live', 'secretPrefix': 'shop_'}]})
            reader.server.expect(201, 'POST', '/v1/templates', {'name': 'ci', 'fields': {}})
            if command in ('enable', 'erase'):
                reader.server.expect(200, 'POST', '/v1/keys/' + {'enable': 'disable', 'erase': 'revoke'}[command],
                                     {'ids': [reader.variables['ID']]})
            if command == 'pepper':
                equal(reader.run('keyward create --owner user:1 --data folder')[0], 0, 'making a data folder')
            code, failed, said = reader.run(ID.sub('key_…', example[1]).replace('/var/lib/keyward', 'folder'))
            check(code == 0 and not failed, f'keyward help {command}: {example[1]}{reader.printed}{said}')
        finally:
            reader.close()


def examples_in_headers_compile():
    found = [header for header in sorted((ROOT / 'include' / 'keyward').glob('*.h')) if comment_examples(header)]
    check(len(found) >= 2, f'headers with examples: {found}')
    for header in found:
        text = comment_examples(header)
        compile_c(text if 'struct kw_error error;' in text else 'struct kw_error error;\n' + text, header.name)


def the_page_of_codes_is_that_of_the_header():
    done = subprocess.run([sys.executable, ROOT / 'tools' / 'write_codes.py', '--check'], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, done.stderr)


# --- the cases ---

def named_files():
    return {block.option('file'): block.text for page in PAGES for block in blocks_of(page) if block.option('file')}


def run_case(number, name, case):
    try:
        case()
        print(f'ok {number} - {name}', flush=True)
        return True
    except Exception as error:  # whatever it is, the case failed
        text = str(error) if isinstance(error, (Failed, Bad)) else traceback.format_exc()
        print(f'not ok {number} - {name}\n' + '\n'.join(f'# {line}' for line in text.splitlines()), flush=True)
        return False


def main():
    cases = [(page.name, lambda page=page: try_page(page, FILES)) for page in PAGES]
    cases += [(case.__name__, case) for case in (requests_of_the_description_are_answered,
                                                 answers_of_the_description_are_as_described, examples_of_the_help_run,
                                                 examples_in_headers_compile, the_page_of_codes_is_that_of_the_header)]
    chosen = [(name, case) for name, case in cases if len(sys.argv) < 3 or sys.argv[2] in name]
    print(f'TAP version 13\n1..{len(chosen)}', flush=True)
    return 0 if all([run_case(number, *case) for number, case in enumerate(chosen, 1)]) else 1


PROGRAM = os.path.abspath(sys.argv[1])
FILES = named_files()

if __name__ == '__main__':
    sys.exit(main())
