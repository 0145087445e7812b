"""Clients that take their time: each deadline ends its own kind, answers where there is somebody to tell, and leaves
the others alone. The short deadlines are given on the command line."""

import time

from support import Server, case, check, check_equal, is_echo, main, need_echo, request, wait_until

SHORT_MS = 300
SHORT = f'{SHORT_MS}ms'
LONG = '1h'
# What no deadline may end before; a little less, for clocks that tick apart.
SHORT_S = SHORT_MS / 1000 * 0.9


def deadlines(**short):
    """Options that make one deadline short and all others long."""
    names = ['header', 'body', 'idle', 'write']
    return [part for name in names for part in (f'--{name}-timeout', SHORT if name in short else LONG)]


def check_timed_out(client, started):
    """A 408, not before its time, and the end."""
    answer, = client.read_answers_to_end()
    check_equal((answer.status, answer.headers.get('connection')), (408, 'close'))
    check(time.monotonic() - started >= SHORT_S, f'after {time.monotonic() - started:.3f} s')


@case
def slow_heads_are_told():
    with Server(*deadlines(header=True)) as server:
        for part in [b'G', b'GET / HTTP/1.1\r\nHost: a\r\n', request()[:-1]]:
            with server.connect() as client:
                started = time.monotonic()
                client.send(part)
                check_timed_out(client, started)


@case
def dripping_heads_gain_nothing():
    with Server(*deadlines(header=True)) as server, server.connect() as client:
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
    with Server(*deadlines(header=True)) as server, server.connect() as client:
        for _ in range(3):
            client.ask(request())
        started = time.monotonic()
        client.send(b'GET /')
        check_timed_out(client, started)


@case
def silent_connections_are_closed_without_a_word():
    with Server(*deadlines(header=True)) as server, server.connect() as client:
        started = time.monotonic()
        check_equal(client.read_to_end(), b'')
        check(time.monotonic() - started >= SHORT_S, 'too early')


@case
def slow_bodies_are_told():
    with Server(*deadlines(body=True)) as server:
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
    with Server(*deadlines(body=True)) as server, server.connect() as client:
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
    with Server(*deadlines(idle=True)) as server, server.connect() as client:
        client.ask(request())
        started = time.monotonic()
        check_equal(client.read_to_end(), b'')
        check(time.monotonic() - started >= SHORT_S, 'too early')


@case
def busy_connections_are_not_idle():
    with Server(*deadlines(idle=True)) as server, server.connect() as client:
        started = time.monotonic()
        while time.monotonic() - started < 4 * SHORT_MS / 1000:
            client.ask(request())


@case
def waiting_for_the_engine_is_not_slow():
    need_echo()
    short = [part for name in ['header', 'body', 'idle', 'write'] for part in (f'--{name}-timeout', SHORT)]
    with Server(*short) as server, server.connect() as client:
        check_equal(client.ask(request(f'/delay?{4 * SHORT_MS}')).status, 200)


@case
def readers_that_do_not_read_are_closed():
    with Server(*deadlines(write=True), '--log-level', 'warn') as server, server.connect() as client:
        # More answers than all buffers on the way hold.
        stream = request('/big?1000000' if is_echo() else '/openapi.json') * 500
        client.socket.settimeout(5)
        while client.try_send(stream):
            pass
        wait_until(lambda: not client.try_send(request()), 'it gives up on the reader')
        check(server.ask(request()).status < 500, 'others are served')


@case
def output_and_memory_are_bounded():
    need_echo()
    with Server('--log-level', 'warn') as server, server.connect() as client:
        # 100 MB of answers, asked for in one piece: they are made as they are read, not before.
        client.send(request('/big?1000000') * 100)

        def resident_kb():
            with open(f'/proc/{server.process.pid}/status', encoding='ascii') as status:
                return int(next(line for line in status if line.startswith('VmRSS:')).split()[1])
        for _ in range(100):
            check_equal(len(client.read_answer().body), 1000000)
            check(resident_kb() < 200 * 1024, f'{resident_kb()} KB are resident')


@case
def slow_readers_get_everything_in_the_end():
    need_echo()
    with Server(*deadlines(write=True)) as server, server.connect() as client:
        size = 16 * 1024 * 1024
        client.send(request(f'/big?{size}') + request('/echo', 'POST', body=b'behind'))
        received, end, started = 0, b'', time.monotonic()
        while not end.endswith(b'behind'):
            # Takes longer than the deadline for all of it, but not for a slice: the pace follows the clock.
            if received / size > (time.monotonic() - started) / (4 * SHORT_MS / 1000):
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
