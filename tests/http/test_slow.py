"""Clients that take their time: each deadline ends its own kind, answers where there is somebody to tell, and leaves
the others alone. The short deadlines are given on the command line."""

import socket
import time

from support import Server, case, check, check_equal, is_echo, main, need_echo, request, wait_until

SHORT_MS = 300
SHORT = f'{SHORT_MS}ms'
LONG = '1h'
# What no deadline may end before; a little less, for clocks that tick apart.
SHORT_S = SHORT_MS / 1000 * 0.9


def deadlines(*short, duration=SHORT):
    """Options that make some deadlines short and all others long."""
    names = ['header', 'body', 'idle', 'write']
    return [part for name in names for part in (f'--{name}-timeout', duration if name in short else LONG)]


def check_timed_out(client, started):
    """A 408, not before its time, and the end."""
    answer, = client.read_answers_to_end()
    check_equal((answer.status, answer.headers.get('connection')), (408, 'close'))
    check(time.monotonic() - started >= SHORT_S, f'after {time.monotonic() - started:.3f} s')


@case
def slow_heads_are_told():
    with Server(*deadlines('header')) as server:
        for part in [b'G', b'GET / HTTP/1.1\r\nHost: a\r\n', request()[:-1]]:
            with server.connect() as client:
                started = time.monotonic()
                client.send(part)
                check_timed_out(client, started)


@case
def dripping_heads_gain_nothing():
    with Server(*deadlines('header')) as server, server.connect() as client:
        started = time.monotonic()
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n')
        while client.try_send(b'X: a\r\n') and time.monotonic() - started < 20:
            client.socket.settimeout(0.02)
            try:
                client.buffer += client.socket.recv(65536)
            except TimeoutError:
                continue
            break
        check(b' 408 ' in client.buffer, client.buffer)
        check(time.monotonic() - started >= SHORT_S, 'too early')


@case
def the_second_head_has_its_own_time():
    with Server(*deadlines('header')) as server, server.connect() as client:
        for _ in range(3):
            client.ask(request())
        started = time.monotonic()
        client.send(b'GET /')
        check_timed_out(client, started)


@case
def silent_connections_are_closed_without_a_word():
    with Server(*deadlines('header')) as server, server.connect() as client:
        started = time.monotonic()
        check_equal(client.read_to_end(), b'')
        check(time.monotonic() - started >= SHORT_S, 'too early')


@case
def slow_bodies_are_told():
    with Server(*deadlines('body')) as server:
        for part in [request('/', 'POST', ['Content-Length: 5']), request('/', 'POST', ['Content-Length: 5']) + b'abcd',
                     request('/', 'POST', ['Transfer-Encoding: chunked']),
                     request('/', 'POST', ['Transfer-Encoding: chunked']) + b'5\r\nab',
                     request('/', 'POST', ['Transfer-Encoding: chunked']) + b'0\r\nX: a']:
            with server.connect() as client:
                started = time.monotonic()
                client.send(part)
                check_timed_out(client, started)


@case
def dripping_bodies_gain_nothing():
    with Server(*deadlines('body')) as server, server.connect() as client:
        client.send(request('/', 'POST', ['Content-Length: 1000000']))
        client.socket.settimeout(0.02)
        started = time.monotonic()
        while client.try_send(b'x') and time.monotonic() - started < 20:
            try:
                client.buffer += client.socket.recv(65536)
            except TimeoutError:
                continue
            break
        check(b' 408 ' in client.buffer, client.buffer)


@case
def idle_connections_are_closed_without_a_word():
    with Server(*deadlines('idle')) as server, server.connect() as client:
        client.ask(request())
        started = time.monotonic()
        check_equal(client.read_to_end(), b'')
        check(time.monotonic() - started >= SHORT_S, 'too early')


@case
def busy_connections_are_not_idle():
    with Server(*deadlines('idle')) as server, server.connect() as client:
        started = time.monotonic()
        while time.monotonic() - started < 4 * SHORT_MS / 1000:
            client.ask(request())


@case
def waiting_for_the_engine_is_not_slow():
    need_echo()
    with Server(*deadlines('header', 'body', 'idle', 'write')) as server, server.connect() as client:
        check_equal(client.ask(request(f'/delay?{4 * SHORT_MS}')).status, 200)


@case
def readers_that_do_not_read_are_closed():
    with Server(*deadlines('write'), '--log-level', 'warn') as server, server.connect() as client:
        keep_buffer_small(client)
        # More answers than all buffers on the way hold.
        stream = request('/big?1000000' if is_echo() else '/openapi.json') * 500
        client.socket.settimeout(5)
        while client.try_send(stream):
            pass
        wait_until(lambda: not client.try_send(request()), 'it gives up on the reader')
        check(server.ask(request()).status < 500, 'others are served')


def keep_buffer_small(client):
    """Else the system takes tens of megabytes for a client that does not read."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)


def answers_made(server):
    """How many the server has made so far."""
    text = server.ask(request('/metrics')).body.decode()
    return int(next(line for line in text.splitlines() if 'answers_total{class="2xx"}' in line).split()[1])


@case
def answers_wait_to_be_made():
    need_echo()
    with Server('--log-level', 'warn') as server, server.connect() as client:
        keep_buffer_small(client)
        # 300 MB asked for in one piece. The system's buffers hold some megabytes, the server a little more.
        client.send(request('/big?3000000') * 100)
        for number in range(100):
            check_equal(len(client.read_answer().body), 3000000)
            ahead = answers_made(server) - 2 * number - 1
            check(ahead <= 8, f'{ahead} answers are waiting')


@case
def slow_readers_get_everything_in_the_end():
    need_echo()
    with Server(*deadlines('write', duration='1s')) as server, server.connect() as client:
        keep_buffer_small(client)
        size = 16 * 1024 * 1024
        client.send(request(f'/big?{size}') + request('/echo', 'POST', body=b'behind'))
        received, end, started = 0, b'', time.monotonic()
        while not end.endswith(b'behind'):
            # Takes longer than the deadline for all of it, but not for a slice: the pace follows the clock.
            if received / size > (time.monotonic() - started) / 3:
                time.sleep(0.001)
                continue
            data = client.socket.recv(65536)
            check(data, f'closed after {received} bytes')
            received += len(data)
            end = (end + data)[-6:]
        check(received > size, received)


@case
def refusals_reach_clients_that_are_still_sending():
    with Server() as server:
        for _ in range(20):
            with server.connect() as client:
                client.try_send(request('/', 'POST', ['Content-Length: 5000000']) + b'x' * 500000)
                answer, = client.read_answers_to_end()
                check_equal(answer.status, 413)


if __name__ == '__main__':
    main()
