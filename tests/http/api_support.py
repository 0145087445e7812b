"""What the tests of the routes share: a server of their own, a client that holds every answer against /openapi.json, and
TAP on standard output.
"""

import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

START_SECONDS_MAX = 20


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(actual, expected, what):
    check(actual == expected, f'{what}: {actual!r} instead of {expected!r}')


class Schemas:
    """Just as much of JSON Schema as the description uses; a word that is not known fails."""

    WORDS = {'$ref', 'type', 'properties', 'required', 'additionalProperties', 'propertyNames', 'items', 'enum', 'const',
             'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'maxItems', 'minItems', 'maxProperties', 'anyOf', 'oneOf',
             'allOf', 'not', 'format', 'description', 'examples', 'default'}
    TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'number': (int, float), 'null': type(None)}
    TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')

    def __init__(self, document):
        self.document = document

    def follow(self, node):
        if '$ref' not in node:
            return node
        target = self.document
        for part in node['$ref'].removeprefix('#/').split('/'):
            target = target[part]
        return {**self.follow(target), **{word: value for word, value in node.items() if word != '$ref'}}

    def check_type(self, kind, value, where):
        if kind == 'integer':
            fits = isinstance(value, int) and not isinstance(value, bool)
        else:
            fits = isinstance(value, self.TYPES[kind])
        check(fits, f'{where} is no {kind}: {value!r}')

    def check_text(self, schema, value, where):
        check('pattern' not in schema or re.search(schema['pattern'], value), f'{where} has another form: {value!r}')
        check(len(value) >= schema.get('minLength', 0), f'{where} is too short')
        check(len(value) <= schema.get('maxLength', len(value)), f'{where} is too long')
        if schema.get('format') == 'date-time':
            check(self.TIME.fullmatch(value), f'{where} is no time of ours: {value!r}')

    def check_object(self, schema, value, where):
        for name in schema.get('required', []):
            check(name in value, f'{where} lacks {name}')
        check(len(value) <= schema.get('maxProperties', len(value)), f'{where} has too many members')
        properties = schema.get('properties', {})
        for name, inner in value.items():
            others = schema.get('additionalProperties', properties == {})
            if name in properties:
                self.check(properties[name], inner, f'{where}.{name}')
            elif isinstance(others, dict):
                self.check(others, inner, f'{where}.{name}')
            else:
                check(others, f'{where}.{name} is not described')

    def check(self, node, value, where):
        schema = self.follow(node)
        check(set(schema) <= self.WORDS, f'{where}: words that are not known: {set(schema) - self.WORDS}')
        if 'anyOf' in schema:
            self.check_any(schema['anyOf'], value, where)
            return
        if 'type' in schema:
            self.check_type(schema['type'], value, where)
        check('enum' not in schema or value in schema['enum'], f'{where} is none of the choices: {value!r}')
        check('const' not in schema or value == schema['const'], f'{where} is {value!r}')
        if isinstance(value, str):
            self.check_text(schema, value, where)
        if isinstance(value, dict):
            self.check_object(schema, value, where)
            self.check_groups(schema, value, where)
        if isinstance(value, list):
            check(len(value) <= schema.get('maxItems', len(value)), f'{where} has too many items')
            for at, item in enumerate(value):
                self.check(schema.get('items', {}), item, f'{where}[{at}]')
        if isinstance(value, int) and not isinstance(value, bool):
            check(schema.get('minimum', value) <= value <= schema.get('maximum', value), f'{where} is out of range')

    def check_groups(self, schema, value, where):
        """Of these fields exactly one, and of those not both."""
        given = [choice for choice in schema.get('oneOf', []) if all(name in value for name in choice['required'])]
        check('oneOf' not in schema or len(given) == 1, f'{where} must have exactly one of {schema.get("oneOf")}')
        for group in schema.get('allOf', []):
            excluded = group['not']['required']
            check(not all(name in value for name in excluded), f'{where} has all of {excluded}')

    def check_any(self, choices, value, where):
        reasons = []
        for choice in choices:
            try:
                self.check(choice, value, where)
                return
            except Failed as failed:
                reasons.append(str(failed))
        raise Failed('; '.join(reasons))

    def operation(self, method, path):
        """The operation that a request means; None where there is none."""
        path = path.split('?')[0]
        for pattern, operations in sorted(self.document['paths'].items(), key=lambda entry: '{' in entry[0]):
            form = re.sub(r'\{rest\}', '.*', re.sub(r'\{(?!rest)\w+\}', '[^/]+', pattern))
            if re.fullmatch(form, path) and method.lower() in operations:
                return operations[method.lower()]
        return None

    def check_answer(self, method, path, answer):
        operation = self.operation('GET' if method == 'HEAD' else method, path)
        if operation is None:
            return
        responses = operation['responses']
        response = self.follow(responses.get(str(answer.status), responses['default']))
        where = f'{method} {path} -> {answer.status}'
        for name in response.get('headers', {}):
            check(answer.header(name) is not None, f'{where} lacks the header {name}')
        if method == 'HEAD' or 'content' not in response:
            equal(answer.body, b'', f'{where} has a body')
            return
        media = (answer.header('Content-Type') or '').split(';')[0]
        check(media in response['content'], f'{where} is {media}')
        if media in ('application/json', 'application/problem+json'):
            self.check(response['content'][media]['schema'], answer.json, where)
        if media == 'application/problem+json':
            equal(answer.json['status'], answer.status, f'{where}: status in the body')
            codes = [code for code in re.findall(r'`([A-Z_]+)`', response['description'])]
            check(not codes or answer.json['code'] in codes, f'{where}: {answer.json["code"]} is not described')
        self.check_items(operation, answer, where)

    def check_items(self, operation, answer, where):
        """Of a batch or an import: the codes that single items are refused with."""
        said = re.search(r'Items are refused with (.*)\.', operation.get('description', ''))
        if said is None or answer.status != 200:
            return
        described = re.findall(r'`([A-Z_]+)`', said.group(1))
        for item in answer.json.get('items', answer.json.get('lines', [])):
            refused = item.get('status', 200) >= 400
            check(not refused or item['code'] in described, f'{where}: {item.get("code")} of an item is not described')


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.getheaders()
        self.body = body
        is_json = (response.getheader('Content-Type') or '') in ('application/json', 'application/problem+json')
        self.json = json.loads(body) if is_json and body else None

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        check(len(values) <= 1, f'the header {name} stands {len(values)} times')
        return values[0] if values else None


class Server:
    """`keyward serve` with a data folder of its own. `KEYWARD` in the environment, or the first argument, is the program."""

    def __init__(self, program, options=()):
        self.program = program
        self.options = options
        self.folder = tempfile.TemporaryDirectory(prefix='keyward-routes-')
        self.log_path = pathlib.Path(self.folder.name, 'log')
        self.root = self.run('generate', '--management').strip().splitlines()[-1].split()[-1]
        self.secrets = [self.root]
        self.process = None
        self.schemas = None
        self.start()

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], check=True, capture_output=True, text=True).stdout

    def start(self):
        log = open(self.log_path, 'ab')
        seen = log.tell()
        self.process = subprocess.Popen(
            [self.program, 'serve', '--data', os.path.join(self.folder.name, 'data'), '--listen', '127.0.0.1:0', *self.options],
            env={**os.environ, 'KEYWARD_ROOT_KEY': self.root}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        self.port = self.wait_for_port(seen)
        if self.schemas is None:
            self.schemas = Schemas(self.raw('GET', '/openapi.json', None, {}).json)

    def wait_for_port(self, seen):
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until and self.process.poll() is None:
            text = self.log_path.read_bytes()[seen:].decode(errors='replace')
            found = re.search(r'"server_started".*"port":(\d+)', text)
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        raise Failed(f'the server did not start: {self.log_path.read_text(errors="replace")}')

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(timeout=20), 0, 'exit code of the server')

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.folder.cleanup()

    def raw(self, method, path, body, headers):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def call(self, method, path, body=None, key='', headers=None):
        """One request, held against the description. `body` is bytes or what becomes JSON; `key` None sends none."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault('Authorization', f'Bearer {key or self.root}')
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault('Content-Type', 'application/json')
        answer = self.raw(method, path, body, {name: value for name, value in sent.items() if value is not None})
        self.schemas.check_answer(method, path, answer)
        self.check_secrecy(method, path, answer)
        return answer

    def check_secrecy(self, method, path, answer):
        """A full key stands in the answer to its creation, and in no other."""
        if answer.status == 201 and 'key' in answer.json:
            check(answer.json['key'] not in self.secrets, 'a key was made twice')
            self.secrets.append(answer.json['key'])
            equal(answer.body.count(answer.json['key'].encode()), 1, 'times that the key is shown')
            return
        if path == '/v1/keys/batch/create' and answer.status == 200:
            made = [item['key'] for item in answer.json['items'] if item['status'] == 201]
            check(len(set(made) | set(self.secrets)) == len(made) + len(self.secrets), 'a key was made twice')
            check(all(answer.body.count(key.encode()) == 1 for key in made), 'each key is shown once')
            self.secrets += made[:10]  # of a thousand, a few stand for all
            return
        for secret in self.secrets:
            shown = secret.encode() in answer.body or any(secret in value for _, value in answer.headers)
            check(not shown, f'{method} {path} shows a key')

    def expect(self, status, method, path, body=None, **options):
        """The answer, which must have this status."""
        answer = self.call(method, path, body, **options)
        equal(answer.status, status, f'{method} {path} {answer.body[:300]!r}')
        return answer

    def refuse(self, code, method, path, body=None, field=None, status=None, **options):
        """The problem, which must have this code and name this field."""
        answer = self.call(method, path, body, **options)
        what = f'{method} {path} {str(body)[:100]} -> {answer.status} {answer.body[:300]!r}'
        equal(answer.header('Content-Type'), 'application/problem+json', f'content type of {what}')
        equal(answer.json['code'], code, what)
        if field is not None:
            equal(answer.json.get('field', ''), field, f'field of {what}')
        if status is not None:
            equal(answer.status, status, what)
        check(answer.json['detail'] and answer.json['advice'], f'{what} says too little')
        equal(answer.json['requestId'], answer.header('X-Request-Id'), f'request id of {what}')
        return answer.json

    def create(self, body=None, **options):
        """A new key: (the key, its record)."""
        made = self.expect(201, 'POST', '/v1/keys', {'ownerId': '1', **(body or {})} if body is None or 'owner' not in body
                           else body, **options).json
        return made['key'], made['record']

    def manager(self, *scopes, project='default', **more):
        """A management key with these scopes: (the key, its record)."""
        return self.create({'owner': 'service:test', 'resources': {f'project:{project}': list(scopes)}, **more},
                           headers={'Keyward-Project': 'keyward'})

    def verify(self, key, path='/v1/keys/verify', **question):
        return self.expect(200, 'POST', path, {'key': key, **question}).json

    def digest(self, key):
        """The key's digest as the store has it."""
        with open(os.path.join(self.folder.name, 'data', 'pepper'), encoding='ascii') as file:
            pepper = bytes.fromhex(file.read().strip())
        return hmac.new(pepper, key.encode(), 'sha256').hexdigest()

    def everything(self):
        """All records, to see whether something changed; when they were last used is no change."""
        items, cursor = [], None
        while True:
            page = self.expect(200, 'GET', '/v1/keys?limit=1000' + (f'&cursor={cursor}' if cursor else '')).json
            items += page['items']
            cursor = page.get('nextCursor')
            if cursor is None:
                return [{name: value for name, value in item.items() if not name.startswith('lastUsed')} for item in items]


def quote(text):
    return urllib.parse.quote(text, safe='')


def main(cases, options=()):
    """Runs the cases against one server with these options; what stands behind the program on the command line chooses among them."""
    program = sys.argv[1] if len(sys.argv) > 1 else os.environ['KEYWARD']
    chosen = [case for case in cases if len(sys.argv) < 3 or sys.argv[2] in case.__name__]
    server = Server(program, options)
    failures = 0
    print(f'TAP version 13\n1..{len(chosen) + 1}', flush=True)
    for number, case in enumerate(chosen + [the_log_is_clean], 1):
        try:
            case(server)
            print(f'ok {number} - {case.__name__}', flush=True)
        except Exception as error:  # whatever went wrong, the other cases still run
            failures += 1
            lines = traceback.format_exc().splitlines()
            shown = [str(error)] if isinstance(error, Failed) else lines
            place = [line.strip() for line in lines if '/test_' in line][-1:]
            print(f'not ok {number} - {case.__name__}\n' + '\n'.join(f'# {line}' for line in shown + place), flush=True)
    server.close()
    return 1 if failures else 0


def the_log_is_clean(server):
    """Runs last: no key stands in what the server wrote, and no sanitizer spoke up."""
    text = server.log_path.read_text(errors='replace')
    check('Sanitizer' not in text and 'runtime error' not in text, text[-4000:])
    check(len(server.secrets) > 1, 'no key was made')
    for secret in server.secrets:
        check(secret not in text and secret[8:] not in text, 'a key stands in the log')
