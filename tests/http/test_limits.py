"""What is too large is refused with its own status, before it costs memory; the program says what it cannot have."""

import json
import socket
import subprocess

from support import (PATIENCE_S, Closed, Server, case, check, check_equal, is_echo, main, need_echo,
                     request, wait_until)

BODY_MAX = 1024 * 1024


def chunked(body, size):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(piece), piece) for piece in pieces) + b'0\r\n\r\n'


def check_refused(server, stream, status):
    with server.connect() as client:
        client.try_send(stream)
        answer, = client.read_answers_to_end()
        check_equal(answer.status, status)
        check_equal(answer.headers.get('connection'), 'close')


@case
def long_request_lines():
    with Server() as server:
        rest = len('GET / HTTP/1.1')
        check(server.ask(request('/' + 'a' * (8192 - rest))).status != 414, 'one that just fits')
        check_refused(server, request('/' + 'a' * (8193 - rest)), 414)
        check_refused(server, b'GET /' + b'a' * 100000, 414)
        check_refused(server, b'G' * 9000, 414)


@case
def large_heads():
    with Server() as server:
        check(server.ask(request(headers=['X: ' + 'a' * 16000])).status != 431, 'one that just fits')
        check_refused(server, request(headers=['X: ' + 'a' * 17000]), 431)
        check_refused(server, request(headers=[f'X-{number}: a' for number in range(64)]), 431)
        check(server.ask(request(headers=[f'X-{number}: a' for number in range(63)])).status != 431, 'just 64 headers')


@case
def large_bodies():
    body = bytes(range(256)) * (BODY_MAX // 256)
    with Server() as server, server.connect() as client:
        check(client.ask(request('/echo', 'POST', body=body)).status != 413, 'one that just fits')
        if is_echo():
            check_equal(client.ask(request('/echo', 'POST', body=body)).body, body, 'what came back')
        check_refused(server, request('/', 'POST', [f'Content-Length: {BODY_MAX + 1}']), 413)
        check_refused(server, request('/', 'POST', ['Content-Length: 9223372036854775807']), 413)
        check_refused(server, request('/', 'POST', body=body + b'a'), 413)


@case
def chunked_bodies():
    body = bytes(range(256)) * 256
    head = request('/echo', 'POST', ['Transfer-Encoding: chunked'])
    with Server() as server, server.connect() as client:
        for size in [1, 2, 3, 255, 256, 4096, 65535, 65536]:
            answer = client.ask(head + chunked(body, size))
            if is_echo():
                check_equal(answer.body, body, f'chunks of {size}')
        answer = client.ask(head + chunked(b'x' * BODY_MAX, 100000))
        check(answer.status != 413, 'one that just fits')
        check_refused(server, head + chunked(b'x' * (BODY_MAX + 1), 100000), 413)
        check_refused(server, head + b'100001\r\n', 413)
        check_refused(server, head + b'ffffffffffffffff\r\n', 413)
        check_refused(server, head + b'0\r\nX: ' + b'a' * 9000 + b'\r\n\r\n', 431)
        check_refused(server, head + b'0\r\n' + b'X: a\r\n' * 65 + b'\r\n', 431)
        check_refused(server, head + b'0' * (9 * BODY_MAX), 413)


@case
def large_answers_arrive_whole():
    need_echo()
    with Server() as server, server.connect() as client:
        for size in [0, 1, 65536, 300000, 16 * 1024 * 1024]:
            check_equal(len(client.ask(request(f'/big?{size}')).body), size)
        client.send(b''.join(request(f'/big?{number * 1000}') for number in range(200)))
        for number in range(200):
            check_equal(len(client.read_answer().body), number * 1000)


def served_client(server):
    """A connection on which a request was answered; None when it was one too many."""
    client = server.connect()
    if client.try_send(request()):
        try:
            client.read_answer()
            return client
        except Closed:
            pass
    client.close()
    return None


@case
def one_connection_too_many_is_closed():
    with Server('--connections', '10', '--loops', '1') as server:
        # Patiently: the one that found the server ready may still count.
        clients = [wait_until(lambda: served_client(server), 'there is room') for _ in range(10)]
        check(served_client(server) is None, 'one too many was served')
        wait_until(lambda: 'connections_refused' in server.log(), 'the log tells of it')
        check(clients[0].ask(request()).status < 500, 'those that were there go on')
        clients.pop().close()
        clients.append(wait_until(lambda: served_client(server), 'there is room again'))
        for client in clients:
            client.close()


def run_on(listen, *options):
    """Exit code and output of a start that should fail."""
    server = Server(*options, listen=listen)
    with server.folder():
        ended = subprocess.run(server.command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@case
def ports_in_use_are_named():
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', 0))
        holder.listen()
        port = holder.getsockname()[1]
        status, text = run_on(f'127.0.0.1:{port}')
        check(status != 0 and f'port {port} is in use' in text and '--listen' in text, text)


@case
def a_port_is_not_shared_with_another_server():
    with Server('--loops', '2') as server:
        for loops in ['1', '2']:
            status, text = run_on(f'127.0.0.1:{server.port}', '--loops', loops)
            check(status != 0 and 'is in use' in text, text)


@case
def bad_addresses_are_explained():
    for listen in ['', '7411', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '127.0.0.1:-1', 'nowhere:7411', '::1:7411',
                   '[::1]', '[::1:7411', '[]:7411', '127.0.0.1:7411x', '1.2.3:80']:
        status, text = run_on(listen)
        check(status != 0 and '--listen' in text, f'{listen!r}: {text}')
    status, text = run_on('192.0.2.1:7411')
    check(status != 0 and 'does not belong to this machine' in text, text)


@case
def limits_that_cannot_be_had_are_explained():
    status, text = run_on('127.0.0.1:0', '--connections', '9999999')
    check(status != 0 and 'open files' in text, text)


@case
def other_addresses_are_served():
    for listen, target in [('[::1]:0', '::1'), ('0.0.0.0:0', '127.0.0.1'), ('[::]:0', '127.0.0.1')]:
        with Server(listen=listen) as server, socket.create_connection((target, server.port), timeout=PATIENCE_S) as sock:
            sock.sendall(request('/', headers=['Connection: close']))
            answer = b''.join(iter(lambda: sock.recv(65536), b''))
        if is_echo():
            check_equal(json.loads(answer.partition(b'\r\n\r\n')[2])['peer'], target, 'the peer')
        else:
            check(answer.startswith(b'HTTP/1.1 '), f'{listen}: {answer}')


if __name__ == '__main__':
    main()
