"""10,000 idle connections, and requests are answered all the same."""

import time

from support import PATIENCE_S, Server, case, check, main, raise_file_limit, request

CONNECTIONS = 10000
SOURCES = 4  # addresses, so that no address runs out of ports


def resident_kb(server):
    with open(f'/proc/{server.process.pid}/status', encoding='ascii') as status:
        return int(next(line for line in status if line.startswith('VmRSS:')).split()[1])


@case
def ten_thousand_idle_connections():
    raise_file_limit(CONNECTIONS + 1000)
    with Server('--header-timeout', '1h', '--idle-timeout', '1h', '--log-level', 'warn') as server:
        before_kb = resident_kb(server)
        idle = []
        slowest_s = 0
        for number in range(CONNECTIONS):
            client = server.connect(f'127.0.0.{2 + number % SOURCES}')
            if number % 2:
                client.send(request())
            idle.append(client)
            if number % 500 == 0:
                started = time.monotonic()
                check(server.ask(request()).status < 500, f'with {number} connections')
                slowest_s = max(slowest_s, time.monotonic() - started)
        for client in idle[1::2]:
            check(client.read_answer().status < 500, 'the first answer of an idle connection')
        grown_kb = resident_kb(server) - before_kb
        print(f'# {CONNECTIONS} connections: {grown_kb / CONNECTIONS:.2f} KB each, slowest answer {slowest_s:.3f} s')
        check(slowest_s < PATIENCE_S / 2, f'{slowest_s} s for an answer')
        for client in idle[:100]:
            check(client.ask(request()).status < 500, 'a request of an idle connection')
        for client in idle:
            client.reset()
        check(server.ask(request()).status < 500, 'after they have gone')


if __name__ == '__main__':
    main()
