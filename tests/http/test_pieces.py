"""Answers that come in pieces: whole, slow, cut and left, with no more of them in memory than a client has room for."""

import json
import os
import pathlib
import socket

from support import Closed, Server, case, check, check_equal, main, need_echo, request, wait_until

PIECE = 65536
LARGE = 64 * 1024 * 1024


def expected(size):
    """What the echo server makes of a size (echo_api.c)."""
    parts, number = [], 0
    while size > 0:
        piece = 0 if number % 5 == 1 else min(size, PIECE)
        parts.append(bytes([ord('a') + number % 26]) * piece)
        size -= piece
        number += 1
    return b''.join(parts)


def streams(server):
    return json.loads(server.ask(request('/streams')).body)


def resident_kb(server):
    status = pathlib.Path(f'/proc/{server.process.pid}/status').read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith('VmRSS')))


def narrow(server):
    """A client that takes little at a time."""
    client = server.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return client


@case
def pieces_make_the_whole():
    need_echo()
    with Server() as server, server.connect() as client:
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 40 * PIECE + 7]:
            answer = client.ask(request(f'/stream/whole?{size}'))
            check_equal(answer.status, 200)
            check(answer.body == expected(size), f'{len(answer.body)} bytes of {size}')
            if size > 0:
                check_equal(answer.headers.get('transfer-encoding'), 'chunked')
                check('content-length' not in answer.headers, 'both framings')


@case
def requests_behind_it_wait_for_its_end():
    need_echo()
    with Server() as server, server.connect() as client:
        size = 3 * 1024 * 1024
        client.send(request(f'/stream/a?{size}') + request('/echo', 'POST', body=b'between') +
                    request(f'/stream/b?{PIECE}') + request('/big?10'))
        check(client.read_answer().body == expected(size), 'the first')
        check_equal(client.read_answer().body, b'between')
        check(client.read_answer().body == expected(PIECE), 'the third')
        check_equal(client.read_answer().body, b'x' * 10)


@case
def a_head_request_gets_the_head():
    need_echo()
    with Server() as server, server.connect() as client:
        client.send(request('/stream/head?1000000', 'HEAD') + request('/big?3'))
        answer = client.read_answer(to_head=True)
        check_equal((answer.status, answer.headers.get('transfer-encoding')), (200, 'chunked'))
        check_equal(client.read_answer().body, b'xxx')
        wait_until(lambda: streams(server)['left'] == 1, 'the rest is told off')
        check(b'keyward_http_streams_cut_total 0' in server.ask(request('/metrics')).body, 'it counts as cut')


@case
def an_old_client_reads_to_the_close():
    need_echo()
    with Server() as server:
        for headers in [(), ['Connection: keep-alive']]:
            with server.connect() as client:
                client.send(request('/stream/old?200000', version='1.0', headers=headers))
                answer = client.read_answer()
                check('transfer-encoding' not in answer.headers and 'content-length' not in answer.headers, answer)
                check_equal(answer.headers.get('connection'), 'close')
                check(answer.body + client.read_to_end() == expected(200000), 'the body')


@case
def what_fails_on_the_way_never_looks_whole():
    need_echo()
    with Server() as server:
        for version in ['1.1', '1.0']:
            with server.connect() as client:
                client.send(request('/stream/cut?300000', version=version))
                cut = False
                try:
                    client.read_answer()
                    while data := client.socket.recv(65536):
                        del data
                except (Closed, ConnectionError):
                    cut = True
                check(cut, f'HTTP/{version}: it ends like a whole one')
        check(b'keyward_http_streams_cut_total 2' in server.ask(request('/metrics')).body, 'it is counted')
        check(server.log().count('"body":"cut"') == 2, 'it is logged')


@case
def a_slow_client_holds_little():
    need_echo()
    with Server('--write-timeout', '1h') as server:
        clients = [narrow(server) for _ in range(8)]
        before = resident_kb(server)
        for client in clients:
            client.send(request(f'/stream/slow?{LARGE}'))
        wait_until(lambda: streams(server)['begun'] == len(clients), 'they have begun')
        at = [-1]

        def stands_still():
            was, at[0] = at[0], streams(server)['bytes']
            return was == at[0]
        wait_until(stands_still, 'it stops making pieces')
        check(at[0] < len(clients) * LARGE / 4, f'{at[0]} bytes were made for clients that read nothing')
        grown = resident_kb(server) - before
        check(grown < 32 * 1024, f'{grown} KB for {len(clients)} clients')
        answer = clients[0].read_answer()
        check(answer.body == expected(LARGE), 'the body')
        for client in clients:
            client.reset()
        wait_until(lambda: streams(server)['ended'] == len(clients), 'the others are told off')


@case
def a_client_that_takes_nothing_is_ended():
    need_echo()
    with Server('--write-timeout', '300ms') as server, narrow(server) as client:
        client.send(request(f'/stream/slow?{LARGE}'))
        wait_until(lambda: streams(server)['left'] == 1, 'the write timeout ends it')
        check(b'keyward_http_timeouts_total{kind="write"} 1' in server.ask(request('/metrics')).body, 'it is counted')
        check(server.log().count('"body":"left"') == 1, 'it is logged')


@case
def a_client_that_leaves_stops_it():
    need_echo()
    with Server() as server:
        for leave in ['reset', 'close']:
            before = streams(server)
            with server.connect() as client:
                client.send(request(f'/stream/left?{1 << 40}'))
                client.socket.recv(1000)
                getattr(client, leave)()
            wait_until(lambda: streams(server)['ended'] == before['ended'] + 1, 'it is told off')
        check_equal(streams(server)['left'], 2)
        wait_until(lambda: b'keyward_http_calls_in_engine 0' in server.ask(request('/metrics')).body, 'nothing is left')


@case
def a_stop_lets_it_end():
    need_echo()
    with Server('--drain-timeout', '1h') as server, narrow(server) as client:
        client.send(request(f'/stream/drained?{LARGE}'))
        wait_until(lambda: streams(server)['begun'] == 1, 'it has begun')
        server.signal()
        answer = client.read_answer()
        check(answer.body == expected(LARGE), 'the body')
        check_equal(client.read_to_end(), b'')
        check_equal(server.wait_end(), 0, 'exit code')


@case
def a_call_that_is_under_way_is_told_that_its_client_went():
    need_echo()
    with Server() as server:
        with server.connect() as client:
            client.send(request('/async/gone'))
            wait_until(lambda: b'keyward_http_calls_in_engine 1' in server.ask(request('/metrics')).body, 'it is under way')
            check_equal(streams(server)['gone'], 0)
        wait_until(lambda: streams(server)['gone'] == 1, 'it knows')


@case
def a_stop_does_not_wait_for_ever():
    need_echo()
    with Server('--drain-timeout', '300ms') as server, narrow(server) as client:
        client.send(request(f'/stream/endless?{1 << 40}'))
        wait_until(lambda: streams(server)['begun'] == 1, 'it has begun')
        server.signal()
        check_equal(server.wait_end(), 0, 'exit code')
        try:
            client.read_answer()
            check(False, 'it looks whole')
        except Closed:
            pass


if __name__ == '__main__':
    # Memory that was given back counts as given back under the sanitizer too.
    os.environ['ASAN_OPTIONS'] = ':'.join(filter(None, [os.environ.get('ASAN_OPTIONS'), 'quarantine_size_mb=1']))
    main()
