"""Calls of a server that is late: waited for as long as it lives, told of once, and given up with what may have happened."""

import contextlib
import http.server
import json
import threading

from support import WAIT_SECONDS, check, check_equal, check_in, generate_root_key, main, run

ID = 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'


class Late(http.server.ThreadingHTTPServer):
    """Says at /healthz that it lives, if it does, and answers calls once `answers` is set: by default never."""
    daemon_threads = True

    def __init__(self, lives=True, answers_when_asked=False):
        super().__init__(('127.0.0.1', 0), Handler)
        self.lives, self.answers_when_asked = lives, answers_when_asked
        self.answers, self.ends = threading.Event(), threading.Event()
        self.calls = []
        self.url = f'http://127.0.0.1:{self.server_address[1]}'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def handle_call(self):
        server = self.server
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if self.path == '/healthz' and server.lives:
            if server.answers_when_asked:
                server.answers.set()
            self.answer({'status': 'ok'})
            return
        server.calls.append((self.command, self.path))
        (server.ends if self.path == '/healthz' else server.answers).wait(WAIT_SECONDS * 4)
        if not server.ends.is_set():
            self.answer({'count': 3, 'atLeast': False})
        self.close_connection = True

    do_GET = do_POST = do_DELETE = handle_call  # pylint: disable=invalid-name

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def late(**options):
    server = Late(**options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.ends.set()
        server.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


def call(server, timeout, *arguments, stdin=b'', code=2):
    return run(*arguments, '--url', server.url, '--timeout', timeout, env={'KEYWARD_KEY': generate_root_key()}, stdin=stdin, code=code)


def test_a_server_that_lives_is_waited_for(_):
    for options, is_told in (((), True), (('--json',), False)):
        with late(answers_when_asked=True) as server:
            done = call(server, '16s', 'list', '--count', *options, code=0)
            check_equal(done.err, f'keyward: {server.url} is up, but busy, perhaps with a large change: '
                                  'waiting for its answer, up to 16s (--timeout)\n' if is_told else '')
            check_in('3', done.out)
            check_equal(server.calls, [('GET', '/v1/keys/count')], 'asked once')


def test_who_has_no_patience_left_says_what_may_have_happened(_):
    changed = 'the change may have happened, or happen yet; '
    with late() as server:
        for arguments, expected in (
                (('revoke', ID), changed + 'look before trying again (OUTCOME_UNCERTAIN)'),
                (('revoke', '--owner', 'user:1', '--yes'), changed + 'trying again is safe: keys that are so already are left alone'),
                (('create', '--owner', 'user:1', '--idempotency-key', 'order-7'),
                 changed + 'the same call with the same --idempotency-key is safe: it is done once'),
                (('show', ID), 'has not answered within 1s (--timeout): try again'),
                (('verify',), 'has not answered within 1s (--timeout): try again')):
            done = call(server, '1s', *arguments, stdin=b'sk_live_x' if arguments == ('verify',) else b'')
            check_in(f'keyward: {server.url} has not answered within 1s (--timeout): ', done.err)
            check_in(expected, done.err)


def test_a_server_without_a_sign_of_life_is_not_waited_for(_):
    with late(lives=False) as server:
        done = call(server, '8s', 'show', ID)
        check_equal(done.err, f'keyward: {server.url} does not answer, and shows no other sign of life: try again\n')
        check(('GET', '/healthz') in server.calls, server.calls)


def test_how_long_is_a_duration(_):
    with late() as server:
        for wrong in ('0s', '999ms', '2d', 'long', ''):
            check_in('--timeout must be a duration from 1s to 1d, such as 30s or 15m', call(server, wrong, 'list').err)
        check_equal(server.calls, [])


main([test_a_server_that_lives_is_waited_for, test_who_has_no_patience_left_says_what_may_have_happened,
      test_a_server_without_a_sign_of_life_is_not_waited_for, test_how_long_is_a_duration])
