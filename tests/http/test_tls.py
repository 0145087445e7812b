"""TLS: the same server behind it, what is refused on the way in, and what is said of files that cannot be used."""

import json
import socket
import ssl
import subprocess
import time

from streams import STREAM, read_stream_answers
from support import PATIENCE_S, Client, Closed, Server, case, check, check_equal, main, need_echo, request, wait_until
from tls_files import files, server_and_files


def plain_connect(server):
    return Client(socket.create_connection(('127.0.0.1', server.port), timeout=PATIENCE_S))


@case
def requests_are_answered():
    with server_and_files() as (server, _):
        for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
            server.tls.minimum_version = server.tls.maximum_version = version
            with server.connect() as client:
                for number in range(100):
                    answer = client.ask(request('/echo', 'POST', body=b'x' * number * 100))
                    check(answer.status < 500, answer)
            with server.connect() as client:
                client.send(STREAM)
                read_stream_answers(client)
            with server.connect() as client:
                for position in range(len(STREAM)):
                    client.send(STREAM[position:position + 1])
                read_stream_answers(client)


@case
def answers_of_other_threads_and_large_ones():
    need_echo()
    with server_and_files() as (server, _), server.connect() as client:
        paths = ['/async/1', '/one', '/big?3000000', '/async/2', '/two']
        client.send(b''.join(request(path) for path in paths) * 20)
        for path in paths * 20:
            answer = client.read_answer()
            if path.startswith('/big'):
                check_equal(len(answer.body), 3000000)
            else:
                check_equal(json.loads(answer.body)['path'], path)
        body = bytes(range(256)) * 4096
        check_equal(client.ask(request('/echo', 'POST', body=body)).body, body)
        client.send(request('/big?16777216'))
        check_equal(len(client.read_answer().body), 16777216, 'to a client that waits')


@case
def answers_in_pieces():
    need_echo()
    with server_and_files() as (server, _):
        with server.connect() as client:
            for size in [1000, 5000000]:
                check_equal(len(client.ask(request(f'/stream/tls?{size}')).body), size)
            client.send(request('/stream/cut?5000000'))
            try:
                client.read_answer()
                check(False, 'what was cut looks whole')
            except (Closed, ssl.SSLError):
                pass


@case
def the_end_is_said():
    with server_and_files() as (server, _), server.connect() as client:
        client.send(request(headers=['Connection: close']))
        client.read_answer()
        # An end without close_notify would be an error here.
        check_equal(client.socket.recv(1), b'')


@case
def http_is_negotiated():
    with server_and_files() as (server, made):
        for offered, expected in [(['http/1.1'], 'http/1.1'), (['h2', 'http/1.1'], 'http/1.1'), ([], None)]:
            server.tls = made.context()
            if offered:
                server.tls.set_alpn_protocols(offered)
            with server.connect() as client:
                check_equal(client.socket.selected_alpn_protocol(), expected, offered)
        server.tls.set_alpn_protocols(['h2'])
        try:
            server.connect().close()
            raise AssertionError('a client that wants HTTP/2 only is let in')
        except ssl.SSLError:
            pass


@case
def old_versions_are_refused():
    with server_and_files() as (server, made):
        for version in ['-tls1', '-tls1_1']:
            ended = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{server.port}', version,
                                    '-cipher', 'ALL:@SECLEVEL=0'], stdin=subprocess.DEVNULL, capture_output=True,
                                   timeout=PATIENCE_S, check=False)
            check(b'BEGIN CERTIFICATE' not in ended.stdout, version)
        server.tls = made.context()
        check(server.ask(request()).status < 500, 'afterwards')


@case
def sessions_are_resumed():
    with server_and_files() as (server, _):
        server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        with server.connect() as client:
            client.ask(request())
            session = client.socket.session
        sock = socket.create_connection(('127.0.0.1', server.port), timeout=PATIENCE_S)
        with Client(server.tls.wrap_socket(sock, server_hostname='localhost', session=session)) as client:
            check(client.ask(request()).status < 500, 'a resumed session')
            check(client.socket.session_reused, 'it is not resumed')


@case
def other_bytes_end_the_connection():
    with server_and_files('--log-level', 'debug') as (server, _):
        for stream in [request(), b'\x16\x03\x01\x00\x05hello', b'\x00' * 1000, b'\x80\x2e\x01\x00\x02']:
            with plain_connect(server) as client:
                client.try_send(stream)
                client.socket.shutdown(socket.SHUT_WR)
                check(b'HTTP' not in client.read_to_end(), 'an answer in the clear')
        wait_until(lambda: 'tls_failed' in server.log(), 'the log tells why')
        check(server.ask(request()).status < 500, 'afterwards')


@case
def handshakes_have_a_deadline():
    with files() as made, Server(*made.options(), '--header-timeout', '300ms') as server:
        for stream in [b'', b'\x16\x03\x01', b'\x16\x03\x01\x02\x00\x01']:
            with plain_connect(server) as client:
                started = time.monotonic()
                client.send(stream)
                client.read_to_end()
                check(time.monotonic() - started >= 0.25, 'too early')


@case
def drains():
    need_echo()
    with server_and_files() as (server, _):
        idle, busy = server.connect(), server.connect()
        idle.ask(request())
        busy.send(request('/delay?500'))
        idle.ask(request())
        wait_until(lambda: b'keyward_http_calls_in_engine 1' in server.ask(request('/metrics')).body, 'it is under way')
        server.signal()
        check_equal(idle.read_to_end(), b'')
        answer, = busy.read_answers_to_end()
        check_equal((answer.status, answer.headers.get('connection')), (200, 'close'))
        idle.close()
        busy.close()
        check_equal(server.wait_end(), 0, 'exit code')


def start_with(options):
    server = Server(*options)
    with server.folder():
        ended = subprocess.run(server.command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@case
def files_that_cannot_be_used_are_named():
    with files() as made:
        text = made.write('text.pem', 'not a certificate\n')
        empty = made.write('empty.pem', '')
        cut = made.write('cut.pem', made.cert.read_text()[:200] + '\n-----END CERTIFICATE-----\n')
        missing = made.folder / 'missing.pem'
        for options, words in [
                (made.options(cert=missing), ['--tls-cert', 'missing.pem', 'No such file']),
                (made.options(key=missing), ['--tls-key', 'missing.pem', 'No such file']),
                (made.options(cert=made.folder), ['--tls-cert', 'Is a directory']),
                (made.options(cert=text), ['--tls-cert', 'text.pem', 'no PEM certificate']),
                (made.options(key=text), ['--tls-key', 'text.pem', 'no PEM private key']),
                (made.options(cert=empty), ['--tls-cert', 'empty.pem', 'empty']),
                (made.options(key=empty), ['--tls-key', 'empty.pem', 'empty']),
                (made.options(cert=cut), ['--tls-cert', 'cut.pem', 'cannot be used']),
                (made.options(cert=made.key), ['--tls-cert', 'key.pem', 'no PEM certificate']),
                (made.options(key=made.cert), ['--tls-key', 'cert.pem', 'no PEM private key']),
                (made.options(key=made.other_key), ['--tls-key', 'other.pem', 'is not the key of', 'cert.pem']),
                (made.options(key=made.locked_key), ['--tls-key', 'locked.pem', 'passphrase']),
                (made.options()[:2], ['--tls-key']),
                (made.options()[2:], ['--tls-cert'])]:
            status, output = start_with(options)
            check(status != 0, f'{options}: it starts')
            for word in words:
                check(word in output, f'{options}: {word!r} is not in {output!r}')


if __name__ == '__main__':
    main()
