"""What was secret in a request or an answer is gone from the server's memory once it was sent: a picture of all its
memory does not hold it (DESIGN, invariant 1)."""

import re

from support import Server, case, check, check_equal, main, need_echo, request
from tls_files import server_and_files

ANSWER_CANARY = b'sk_canary'  # of the echo server's /secret
HEADER_CANARY = b'canary_in_a_header_' + b'h' * 20
BODY_CANARY = b'canary_in_a_body_' + b'b' * 20


def memory_of(server):
    """All that the process could write to."""
    with open(f'/proc/{server.process.pid}/maps', encoding='ascii') as maps:
        ranges = re.findall(r'^([0-9a-f]+)-([0-9a-f]+) rw', maps.read(), re.MULTILINE)
    with open(f'/proc/{server.process.pid}/mem', 'rb', buffering=0) as memory:
        for start, end in ranges:
            start, end = int(start, 16), int(end, 16)
            # The shadows of sanitizers are terabytes of nothing.
            if end - start > 1 << 30:
                continue
            memory.seek(start)
            try:
                yield start, memory.read(end - start)
            except OSError:
                continue


def check_gone(server, canaries, when):
    for start, piece in memory_of(server):
        for canary in canaries:
            at = piece.find(canary)
            check(at < 0, f'{when}: {canary!r} at {start + at:#x}: {piece[max(0, at - 60):at + 60]!r}')


def use_secrets(server):
    """Secrets on many ways: at once, piece by piece, pipelined, chunked, from other threads, in refusals."""
    secret_head = ['Authorization: Bearer ' + HEADER_CANARY.decode()]
    with server.connect() as client:
        check_equal(client.ask(request('/secret', 'POST', secret_head, BODY_CANARY)).body, ANSWER_CANARY)
        client.send(request('/async', 'POST', secret_head, BODY_CANARY) * 3 + request('/secret') * 50)
        for _ in range(3):
            check_equal(client.read_answer().status, 200)
        for _ in range(50):
            check_equal(client.read_answer().body, ANSWER_CANARY)
        for part in request('/one', 'POST', secret_head, BODY_CANARY * 3).partition(BODY_CANARY):
            client.send(part)
        check_equal(client.read_answer().status, 200)
        client.send(request('/one', 'POST', ['Transfer-Encoding: chunked', *secret_head]))
        for _ in range(3):
            client.send(b'%x\r\n%s\r\n' % (len(BODY_CANARY), BODY_CANARY))
        check_equal(client.ask(b'0\r\n\r\n').status, 200)
        check_equal(client.ask(request('/one', 'POST', secret_head, BODY_CANARY * 3000)).status, 200)
        check_equal(client.ask(request('/one', 'POST', [*secret_head, *secret_head])).status, 400)
    with server.connect() as client:
        client.send(request('/one', 'POST', [*secret_head, 'Content-Length: 5000']) + BODY_CANARY)
    with server.connect() as client:
        client.send(request('/one', 'POST', secret_head)[:-1])


def overwrite_reading_buffers(server):
    """The connections that went in the middle of a request are closed by now: a later one was answered."""
    for _ in range(20):
        check_equal(server.ask(request('/one')).status, 200)


@case
def secrets_are_wiped():
    need_echo()
    with Server('--loops', '1') as server:
        check_gone(server, [ANSWER_CANARY], 'before')
        use_secrets(server)
        overwrite_reading_buffers(server)
        check_gone(server, [ANSWER_CANARY, HEADER_CANARY, BODY_CANARY], 'afterwards')


@case
def secrets_are_wiped_behind_tls():
    need_echo()
    with server_and_files('--loops', '1') as (server, _):
        use_secrets(server)
        overwrite_reading_buffers(server)
        check_gone(server, [ANSWER_CANARY, HEADER_CANARY, BODY_CANARY], 'afterwards')


if __name__ == '__main__':
    main()
