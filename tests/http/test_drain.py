"""SIGTERM and SIGINT: nothing new, what is under way ends well, then the program ends with exit code 0."""

import signal
import time

from support import PATIENCE_S, Server, case, check, check_equal, main, need_echo, request, wait_until


def wait_refusing(server):
    """Until nobody listens any more."""
    def refuses():
        try:
            server.connect().close()
            return False
        except ConnectionError:
            return True
    wait_until(refuses, 'it stops listening')


@case
def requests_under_way_are_answered():
    need_echo()
    for number in [signal.SIGTERM, signal.SIGINT]:
        with Server() as server:
            busy = [server.connect() for _ in range(2)]
            for client in busy:
                client.send(request('/delay?1500'))
            # Answered behind it on the same loops, so the two before have arrived.
            idle = [server.connect() for _ in range(8)]
            for client in idle:
                client.ask(request())
            server.signal(number)
            for client in idle:
                check_equal(client.read_to_end(), b'', 'on an idle connection')
            for client in busy:
                answer, = client.read_answers_to_end()
                check_equal((answer.status, answer.headers.get('connection')), (200, 'close'))
                client.close()
            check_equal(server.wait_end(), 0, 'exit code')


@case
def requests_that_have_begun_may_end():
    with Server() as server, server.connect() as head, server.connect() as body:
        # The 100 tells that the second one's head has arrived; a first request that the connections are there.
        head.ask(request())
        head.send(request()[:-1])
        body.send(request('/', 'POST', ['Content-Length: 2', 'Expect: 100-continue']))
        check_equal(body.read_answer().status, 100)
        body.send(b'a')
        server.ask(request())
        server.signal()
        wait_refusing(server)
        body.send(b'b')
        answer, = body.read_answers_to_end()
        check(answer.headers.get('connection') == 'close' and answer.status != 408, answer)
        if head.try_send(b'\n'):
            # It may have been idle still when the signal came.
            for answer in head.read_answers_to_end():
                check_equal(answer.headers.get('connection'), 'close')
        head.close()
        body.close()
        check_equal(server.wait_end(), 0, 'exit code')


@case
def silent_connections_do_not_hold_it_up():
    with Server('--drain-timeout', '1h') as server:
        clients = [server.connect() for _ in range(100)]
        clients[0].ask(request())
        started = time.monotonic()
        server.signal()
        check_equal(server.wait_end(), 0, 'exit code')
        check(time.monotonic() - started < PATIENCE_S / 2, 'it waited')
        for client in clients:
            check_equal(client.read_to_end(), b'')
            client.close()


@case
def it_gives_up_on_what_does_not_end():
    with Server('--drain-timeout', '300ms') as server, server.connect() as client:
        client.send(request('/', 'POST', ['Content-Length: 2', 'Expect: 100-continue']))
        check_equal(client.read_answer().status, 100)
        started = time.monotonic()
        server.signal()
        check_equal(server.wait_end(), 0, 'exit code')
        check(time.monotonic() - started >= 0.25, 'it did not wait')


@case
def a_second_signal_is_obeyed_at_once():
    with Server('--drain-timeout', '1h') as server, server.connect() as client:
        client.send(request('/', 'POST', ['Content-Length: 2', 'Expect: 100-continue']))
        check_equal(client.read_answer().status, 100)
        server.signal()
        wait_refusing(server)
        check(server.is_running(), 'it did not wait')
        server.signal()
        check_equal(server.wait_end(), 0, 'exit code')


@case
def calls_that_outlive_the_drain_are_waited_for():
    need_echo()
    with Server('--drain-timeout', '100ms') as server, server.connect() as client:
        client.send(request('/delay?1500'))
        server.ask(request())
        wait_until(lambda: b'keyward_http_calls_in_engine 1' in server.ask(request('/metrics')).body, 'it is under way')
        server.signal()
        check_equal(client.read_to_end(), b'')
        check_equal(server.wait_end(), 0, 'exit code')


@case
def readiness_ends_with_the_drain():
    need_echo()
    with Server() as server, server.connect() as client:
        check_equal(client.ask(request('/readyz')).status, 200)
        client.send(request('/delay?500') + request('/readyz'))
        server.ask(request())
        wait_until(lambda: b'keyward_http_calls_in_engine 1' in server.ask(request('/metrics')).body, 'it is under way')
        server.signal()
        check_equal(client.read_answer().status, 200)
        client.close()
        check_equal(server.wait_end(), 0, 'exit code')


if __name__ == '__main__':
    main()
