"""What is sent to webhooks, checked with the libraries that receivers use (tests/node): standardwebhooks and svix; and Ed25519
signatures by OpenSSL's command line.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from api_support import check, equal, main
from webhook_receiver import Receiver

PATH = '/v1/webhooks'
NODE = pathlib.Path(__file__).resolve().parent.parent / 'node'
LIBRARIES = ('standardwebhooks', 'svix')
# What stands before an Ed25519 public key in DER (RFC 8410).
DER_START = bytes.fromhex('302a300506032b6570032100')


class Libraries:
    """The libraries as their lock file has them, in a folder of this test's own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='keyward-node-')
        for name in ('package.json', 'package-lock.json', '.npmrc', 'verify.js'):
            shutil.copy(NODE / name, self.folder.name)
        done = subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], cwd=self.folder.name, capture_output=True,
                              text=True, timeout=300)
        check(done.returncode == 0, f'npm ci: {done.stderr[-2000:]}')
        self.process = subprocess.Popen(['node', 'verify.js'], cwd=self.folder.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def verify(self, library, secret, headers, body):
        self.process.stdin.write(json.dumps({'library': library, 'secret': secret, 'headers': headers, 'body': body}) + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


LOADED = []


def libraries():
    if not LOADED:
        LOADED.append(Libraries())
    return LOADED[0]


def send(server, receiver, name):
    """The message of a new key."""
    _, record = server.create()
    return receiver.wait(lambda messages: [m for m in messages if m.key == record['id']], f'a message to {name}')[0]


def signed_headers(message):
    return {name: message.headers[name] for name in ('webhook-id', 'webhook-timestamp', 'webhook-signature')}


def the_libraries_accept_what_is_sent(server):
    receiver = Receiver()
    made = server.expect(201, 'POST', PATH, {'name': 'signed', 'url': receiver.url(), 'events': ['key.created']}).json
    message = send(server, receiver, 'signed')
    headers, body = signed_headers(message), message.body.decode()
    for library in LIBRARIES:
        equal(libraries().verify(library, made['secret'], headers, body), 'ok', library)
        changed = body.replace('key.created', 'key.revoked')
        check(libraries().verify(library, made['secret'], headers, changed) != 'ok', f'{library} takes another body')
        other = {**headers, 'webhook-id': 'evt_other'}
        check(libraries().verify(library, made['secret'], other, body) != 'ok', f'{library} takes another id')
        secret = 'whsec_' + base64.b64encode(bytes(32)).decode()
        check(libraries().verify(library, secret, headers, body) != 'ok', f'{library} takes another secret')
    server.expect(204, 'DELETE', f'{PATH}/signed')
    receiver.close()


def both_secrets_sign_while_they_overlap(server):
    receiver = Receiver()
    old = server.expect(201, 'POST', PATH, {'name': 'turning', 'url': receiver.url(), 'events': ['key.created']}).json['secret']
    new = server.expect(200, 'POST', f'{PATH}/turning/rotate', {'overlap': '1h'}).json['secret']
    message = send(server, receiver, 'turning')
    for library in LIBRARIES:
        for secret in (old, new):
            equal(libraries().verify(library, secret, signed_headers(message), message.body.decode()), 'ok', library)
    newest = server.expect(200, 'POST', f'{PATH}/turning/rotate', {'overlap': '1ms'}).json['secret']
    server.expect(200, 'GET', f'{PATH}/turning')
    message = send(server, receiver, 'turning')
    for library in LIBRARIES:
        equal(libraries().verify(library, newest, signed_headers(message), message.body.decode()), 'ok', library)
        check(libraries().verify(library, new, signed_headers(message), message.body.decode()) != 'ok', f'{library}: that is over')
        equal(libraries().verify(library, old, signed_headers(message), message.body.decode()), 'ok', f'{library}: an hour is not over')
    server.refuse('INVALID_FIELD', 'POST', f'{PATH}/turning/rotate', {'overlap': '31d'}, field='overlap')
    server.expect(204, 'DELETE', f'{PATH}/turning')
    receiver.close()


def openssl_accepts(public, signature, content):
    with tempfile.TemporaryDirectory(prefix='keyward-ed25519-') as folder:
        files = {'key': DER_START + public, 'signature': signature, 'content': content}
        for name, data in files.items():
            pathlib.Path(folder, name).write_bytes(data)
        done = subprocess.run(['openssl', 'pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', 'key', '-rawin', '-in', 'content',
                               '-sigfile', 'signature'], cwd=folder, capture_output=True, check=False)
        return done.returncode == 0


def ed25519_signatures_are_right(server):
    receiver = Receiver()
    made = server.expect(201, 'POST', PATH, {'name': 'curved', 'url': receiver.url(), 'events': ['key.created'], 'signature': 'both'}).json
    message = send(server, receiver, 'curved')
    signatures = dict(one.split(',', 1) for one in message.headers['webhook-signature'].split(' '))
    equal(sorted(signatures), ['v1', 'v1a'], 'kinds')
    content = f'{message.id}.{message.headers["webhook-timestamp"]}.'.encode() + message.body
    public = base64.b64decode(made['publicKey'].removeprefix('whpk_'))
    check(openssl_accepts(public, base64.b64decode(signatures['v1a']), content), 'the signature is right')
    check(not openssl_accepts(public, base64.b64decode(signatures['v1a']), content + b' '), 'and not of another message')
    for library in LIBRARIES:
        equal(libraries().verify(library, made['secret'], signed_headers(message), message.body.decode()), 'ok', library)
    server.expect(200, 'PATCH', f'{PATH}/curved', {'signature': 'ed25519'})
    message = send(server, receiver, 'curved')
    check(message.headers['webhook-signature'].startswith('v1a,') and ' ' not in message.headers['webhook-signature'], 'that one alone')
    server.expect(204, 'DELETE', f'{PATH}/curved')
    receiver.close()


CASES = [the_libraries_accept_what_is_sent, both_secrets_sign_while_they_overlap, ed25519_signatures_are_right]

if __name__ == '__main__':
    code = main(CASES, ['--allow-private', '127.0.0.1'])
    for loaded in LOADED:
        loaded.process.stdin.close()
        loaded.process.wait()
        loaded.folder.cleanup()
    sys.exit(code)
