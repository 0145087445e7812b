"""Keep-alive, pipelining, HEAD, Expect, HTTP/1.0: requests of one connection are answered in order, however their
bytes come in pieces."""

import json

from streams import STREAM, read_stream_answers
from support import Server, case, check, check_equal, is_echo, main, need_echo, request

@case
def every_split_gives_the_same_answers():
    with Server('--log-level', 'warn') as server:
        with server.connect() as client:
            client.send(STREAM)
            expected = read_stream_answers(client)
        for position in range(1, len(STREAM)):
            with server.connect() as client:
                client.send(STREAM[:position])
                client.send(STREAM[position:])
                check_equal(read_stream_answers(client), expected, f'split at {position}')


@case
def single_bytes_give_the_same_answers():
    with Server('--log-level', 'warn') as server:
        with server.connect() as client:
            client.send(STREAM)
            expected = read_stream_answers(client)
        with server.connect() as client:
            for position in range(len(STREAM)):
                client.send(STREAM[position:position + 1])
            check_equal(read_stream_answers(client), expected)


@case
def a_connection_serves_many_requests():
    with Server('--log-level', 'warn') as server, server.connect() as client:
        for number in range(1000):
            answer = client.ask(request(f'/{number}', 'POST', body=b'x' * number))
            check(answer.headers.get('connection') is None, 'it closes')
            if is_echo():
                check_equal(json.loads(answer.body)['bodySize'], number)


@case
def pipelined_requests_are_answered_in_order():
    count = 5000
    with Server('--log-level', 'warn') as server, server.connect() as client:
        client.send(b''.join(request(f'/{number}') for number in range(count)))
        for number in range(count):
            answer = client.read_answer()
            if is_echo():
                check_equal(json.loads(answer.body)['path'], f'/{number}')


@case
def answers_of_other_threads_keep_the_order():
    need_echo()
    paths = [f'/async/{number}' if number % 3 else f'/sync/{number}' for number in range(600)]
    with Server('--log-level', 'warn') as server, server.connect() as client, server.connect() as other:
        for path in paths:
            client.send(request(path, 'POST', body=b'x' * 200))
        other.send(b''.join(request(path) for path in paths))
        for path in paths:
            check_equal(json.loads(client.read_answer().body)['path'], path)
            check_equal(json.loads(other.read_answer().body)['path'], path)


@case
def clients_may_go_while_a_call_is_under_way():
    need_echo()
    with Server('--log-level', 'warn') as server:
        for _ in range(50):
            with server.connect() as client:
                client.send(request('/delay?50') + request('/async') * 3)
        for _ in range(50):
            client = server.connect()
            client.send(request('/async') * 20)
            client.reset()
        check_equal(server.ask(request('/async')).status, 200)


@case
def a_client_may_end_its_half_early():
    with Server() as server:
        for path in ['/healthz', '/async', '/delay?50']:
            with server.connect() as client:
                client.send(request(path) + request(path))
                client.socket.shutdown(1)
                check_equal(len(client.read_answers_to_end()), 2, path)


@case
def heads_have_no_body():
    with Server() as server, server.connect() as client:
        with_body = client.ask(request('/none'))
        without = client.ask(request('/none', 'HEAD'), to_head=True)
        check_equal(without.status, with_body.status)
        check('content-length' in without.headers, 'no length')
        check_equal(client.ask(request('/none')).status, with_body.status)


@case
def waiting_clients_are_told_to_continue():
    with Server() as server, server.connect() as client:
        client.send(request('/', 'POST', ['Expect: 100-continue', 'Content-Length: 2']))
        check_equal(client.read_answer().status, 100)
        client.send(b'ab')
        check(client.read_answer().status >= 200, 'only an interim answer')
        client.send(request('/', 'POST', ['Expect: 100-continue', 'Transfer-Encoding: chunked']))
        check_equal(client.read_answer().status, 100)
        client.send(b'2\r\nab\r\n0\r\n\r\n')
        check(client.read_answer().status >= 200, 'only an interim answer')
        client.send(request('/', 'POST', ['Expect: 100-continue', 'Content-Length: 1048577']))
        check_equal(client.read_answer().status, 413, 'a body that is not wanted')
        check_equal(client.read_to_end(), b'')


@case
def old_clients_are_answered():
    with Server() as server:
        with server.connect() as client:
            client.send(b'GET / HTTP/1.0\r\n\r\n')
            answer, = client.read_answers_to_end()
            check_equal(answer.headers.get('connection'), 'close')
        with server.connect() as client:
            for _ in range(3):
                answer = client.ask(request('/', version='1.0', headers=['Connection: keep-alive']))
                check_equal(answer.headers.get('connection'), 'keep-alive')


@case
def closing_is_said_and_done():
    with Server() as server:
        for word in ['close', 'Close', 'keep-alive, close', 'foo,close']:
            with server.connect() as client:
                client.send(request(headers=[f'Connection: {word}']) + request('/behind'))
                answer, = client.read_answers_to_end()
                check_equal(answer.headers.get('connection'), 'close', word)


@case
def answers_have_their_headers():
    with Server() as server, server.connect() as client:
        answer = client.ask(request('/none'))
        for name in ['date', 'content-length', 'content-type', 'x-request-id', 'x-content-type-options',
                     'cache-control']:
            check(name in answer.headers, f'{name} is missing')
        check_equal(answer.headers['cache-control'], 'no-store')
        check('server' not in answer.headers, 'it says what it is')
        check(answer.headers['date'].endswith(' GMT'), answer.headers['date'])
        other = client.ask(request('/none'))
        check(other.headers['x-request-id'] != answer.headers['x-request-id'], 'two requests with one id')


@case
def request_ids_are_kept_when_they_are_harmless():
    with Server() as server, server.connect() as client:
        for given in ['a', 'A-1_b.c', 'x' * 64]:
            check_equal(client.ask(request(headers=[f'X-Request-Id: {given}'])).headers['x-request-id'], given)
        for given in ['', 'x' * 65, 'a b', 'a"b', '<a>', 'a,b', '\xfc']:
            check(client.ask(request(headers=[f'X-Request-Id: {given}'])).headers['x-request-id'] != given, given)


@case
def requests_are_logged_without_their_content():
    with Server() as server:
        server.ask(request('/v1/keys/key_canary1?canary2', 'POST', ['Authorization: Bearer canary3', 'X-Other: canary4',
                                                                    'X-Request-Id: mine'], body=b'canary5'))
        server.stop()
        lines = [json.loads(line) for line in server.log().splitlines() if '"event":"request"' in line]
        line, = [line for line in lines if line['requestId'] == 'mine']
        check_equal((line['method'], line['peer'], line['level']), ('POST', '127.0.0.1', 'info'))
        check(line['durationUs'] >= 0 and line['status'] >= 200, line)
        check('canary' not in server.log(), 'the log holds what was sent')


@case
def failed_answers_are_problems():
    need_echo()
    with Server() as server, server.connect() as client:
        answer = client.ask(request('/broken'))
        check_equal((answer.status, answer.headers['content-type']), (500, 'application/problem+json'))
        check_equal(client.ask(request('/nothing')).status, 204)
        check_equal(client.ask(request('/secret')).body, b'sk_canary')
        check_equal(client.ask(request('/echo', 'POST', body=b'abc')).body, b'abc')


if __name__ == '__main__':
    main()
