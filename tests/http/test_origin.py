"""Where a request comes from: the client behind proxies, and its country from a database.

The server trusts the proxies 127.0.0.1 and 10.0.0.0/8; whoever connects from 127.0.0.2 is not trusted. The database is that
of tests/support/mmdb.py.
"""

import http.client
import pathlib
import sys
import tempfile

from api_support import Answer, check, equal, main

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'support'))
import mmdb

PROXY, STRANGER = '127.0.0.1', '127.0.0.2'
AUTHORIZE = '/v1/authorize/default'
REFUSED_MAX = 60


def send(server, key, *forwarded, path=AUTHORIZE, source=PROXY, name='X-Forwarded-For'):
    """A request with any number of X-Forwarded-For headers, from that address."""
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=20, source_address=(source, 0))
    try:
        connection.putrequest('GET', path)
        connection.putheader('Authorization', f'Bearer {key}')
        for value in forwarded:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        answer = Answer(response, response.read())
    finally:
        connection.close()
    server.schemas.check_answer('GET', path, answer)
    server.check_secrecy('GET', path, answer)
    return answer


def outcome(answer):
    """The verdict of /v1/authorize."""
    code = answer.header('Keyward-Code')
    check((answer.status == 200) == (code == 'VALID'), f'{answer.status} with {code}')
    check(answer.status == 200 or answer.json['code'] == code, 'header and body differ')
    return code


def expect(server, key, wanted, *forwarded, **options):
    equal(outcome(send(server, key, *forwarded, **options)), wanted, f'{forwarded} {options}')


def the_client_stands_behind_the_proxies(server):
    key = server.create({'ownerId': '1', 'allowedIPs': ['192.0.2.0/24', '2001:db8:7::/48']})[0]
    for forwarded in (['192.0.2.1'], ['192.0.2.1:4711'], ['\t 192.0.2.1 '], ['198.51.100.1, 192.0.2.1'], ['192.0.2.1, 10.1.2.3'],
                      ['198.51.100.1', '192.0.2.1'], ['192.0.2.1', '10.1.2.3', '10.3.2.1'], ['2001:db8:7::1'],
                      ['[2001:db8:7::1]:4711'], ['::ffff:192.0.2.1'], ['unknown, 192.0.2.1']):
        expect(server, key, 'VALID', *forwarded)
    expect(server, key, 'VALID', '192.0.2.1', name='x-forwarded-FOR')
    for forwarded in (['198.51.100.1'], ['2001:db8:8::1'], [], ['10.1.2.3']):
        expect(server, key, 'IP_NOT_ALLOWED', *forwarded)


def what_stands_left_of_an_untrusted_address_is_made_up(server):
    key = server.create({'ownerId': '1', 'allowedIPs': ['192.0.2.0/24']})[0]
    for forwarded in (['192.0.2.1, 198.51.100.1'], ['192.0.2.1', '198.51.100.1'], ['192.0.2.1, 198.51.100.1, 10.1.2.3'],
                      ['192.0.2.1, 10.1.2.3, 198.51.100.1']):
        expect(server, key, 'IP_NOT_ALLOWED', *forwarded)
    for forwarded in (['192.0.2.1'], ['192.0.2.1, 10.1.2.3'], ['192.0.2.1', '127.0.0.1']):
        expect(server, key, 'IP_NOT_ALLOWED', *forwarded, source=STRANGER)
    own = server.create({'ownerId': '1', 'allowedIPs': [STRANGER]})[0]
    expect(server, own, 'VALID', '192.0.2.1', source=STRANGER)
    expect(server, own, 'VALID', source=STRANGER)
    expect(server, own, 'VALID', STRANGER)


def an_address_that_nobody_knows_is_refused_where_it_matters(server):
    block = server.create({'ownerId': '1', 'blockedIPs': ['192.0.2.0/24']})[0]
    plain = server.create()[0]
    expect(server, block, 'VALID', '198.51.100.1')
    expect(server, block, 'IP_NOT_ALLOWED', '192.0.2.1')
    for forwarded in (['unknown'], ['198.51.100.1, unknown'], ['198.51.100.1, unknown, 10.1.2.3'], [''], ['198.51.100.1,'],
                      ['client.example'], ['198.51.100.1', ''], ['192.0.2.1;198.51.100.1'],
                      ['198.51.100.1' + ', 10.0.0.1' * 32], ['198.51.100.1'] + ['10.0.0.1'] * 8):
        expect(server, block, 'IP_NOT_ALLOWED', *forwarded)
        expect(server, plain, 'VALID', *forwarded)
    expect(server, block, 'VALID', '198.51.100.1' + ', 10.0.0.1' * 31)
    expect(server, block, 'VALID', *['198.51.100.1'] + ['10.0.0.1'] * 7)
    expect(server, block, 'VALID', *['x'] * 20, '198.51.100.1')


def regions_come_from_the_address(server):
    keys = {region: server.create({'ownerId': '1', 'allowedRegions': [region]})[0] for region in ('US', 'US-CA', 'EU', 'EEA')}
    holds = {
        '192.0.2.1': {'US', 'US-CA'}, '192.0.2.200': {'US'}, '198.51.100.7': {'EU', 'EEA'}, '2001:db8:2::7': {'EEA'},
        '2001:db8:1::7': set(), '203.0.113.1': set(), '203.0.113.65': set(), '203.0.113.193': set(), '198.18.0.1': set(),
        '2001:db8:3::7': set(), 'unknown': set()}
    for address, regions in holds.items():
        for region, key in keys.items():
            expect(server, key, 'VALID' if region in regions else 'REGION_NOT_ALLOWED', address)
    expect(server, keys['EU'], 'VALID')  # the proxy itself, in DE
    expect(server, keys['US-CA'], 'VALID', '198.51.100.7', source=STRANGER)
    block = server.create({'ownerId': '1', 'blockedRegions': ['US-CA']})[0]
    for address, wanted in (('192.0.2.1', 'REGION_NOT_ALLOWED'), ('192.0.2.200', 'REGION_NOT_ALLOWED'), ('198.51.100.7', 'VALID'),
                            ('203.0.113.129', 'VALID'), ('198.18.0.1', 'REGION_NOT_ALLOWED'), ('unknown', 'REGION_NOT_ALLOWED')):
        expect(server, block, wanted, address)
    both = server.create({'ownerId': '1', 'allowedRegions': ['US'], 'blockedIPs': ['192.0.2.9']})[0]
    expect(server, both, 'VALID', '192.0.2.8')
    expect(server, both, 'IP_NOT_ALLOWED', '192.0.2.9')
    expect(server, both, 'REGION_NOT_ALLOWED', '198.51.100.7')


def parents_bind_their_children(server):
    parent = server.create({'ownerId': '1', 'allowedRegions': ['US'], 'allowedIPs': ['192.0.2.0/24']})[1]
    child = server.create({'ownerId': '1', 'parentId': parent['id'], 'allowedIPs': ['192.0.2.0/25'], 'allowedRegions': ['US-CA']})[0]
    expect(server, child, 'VALID', '192.0.2.1')
    expect(server, child, 'IP_NOT_ALLOWED', '198.51.100.7')
    server.expect(200, 'PATCH', f'/v1/keys/{parent["id"]}', {'allowedIPs': None, 'allowedRegions': ['EU']})
    expect(server, child, 'REGION_NOT_ALLOWED', '192.0.2.1')


def management_keys_have_rules_too(server):
    here = server.manager('keys:read', 'keys:create', allowedIPs=['192.0.2.0/24'])[0]
    there = server.manager('keys:read', allowedRegions=['US'])[0]
    local = server.manager('keys:read', allowedIPs=['127.0.0.1'])[0]
    cases = [
        (here, ['192.0.2.1'], PROXY, 200, None), (here, ['198.51.100.1'], PROXY, 403, 'IP_NOT_ALLOWED'),
        (here, ['192.0.2.1'], STRANGER, 403, 'IP_NOT_ALLOWED'), (here, ['unknown'], PROXY, 403, 'IP_NOT_ALLOWED'),
        (here, ['192.0.2.1, 198.51.100.1'], PROXY, 403, 'IP_NOT_ALLOWED'), (here, [], PROXY, 403, 'IP_NOT_ALLOWED'),
        (there, ['192.0.2.1'], PROXY, 200, None), (there, ['198.51.100.1'], PROXY, 403, 'REGION_NOT_ALLOWED'),
        (there, ['198.18.0.1'], PROXY, 403, 'REGION_NOT_ALLOWED'), (there, [], STRANGER, 200, None),
        (local, [], PROXY, 200, None), (local, [], STRANGER, 403, 'IP_NOT_ALLOWED'),
        (local, ['192.0.2.1'], PROXY, 403, 'IP_NOT_ALLOWED')]
    for key, forwarded, source, status, code in cases:
        answer = send(server, key, *forwarded, path='/v1/keys', source=source)
        equal((answer.status, answer.json.get('code')), (status, code), f'{forwarded} from {source}')
    made = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1'}, key=here, headers={'X-Forwarded-For': '192.0.2.1'})
    check(made.json['record']['createdBy'].startswith('key:'), 'who made it')
    answer = send(server, there, '192.0.2.1', path='/v1/keys/x/audit')
    equal(answer.status, 404, 'no such route')


def a_verification_states_or_is_looked_up(server):
    """The address of the question counts, not that of whoever asks; a place that is stated goes before the database."""
    key = server.create({'ownerId': '1', 'allowedRegions': ['US-CA', 'FR']})[0]
    plain = server.create()[0]

    def verdict(**question):
        return server.verify(key, **question).get('code', 'VALID')

    equal(verdict(), 'REGION_NOT_ALLOWED', 'nothing stated')
    equal(verdict(ip='192.0.2.1'), 'VALID', 'in the database')
    equal(verdict(ip='::ffff:192.0.2.1'), 'VALID', 'mapped')
    equal(verdict(ip='192.0.2.200'), 'REGION_NOT_ALLOWED', 'no part known')
    equal(verdict(ip='198.51.100.1'), 'VALID', 'where it is, not where it is registered')
    equal(verdict(ip='203.0.113.1'), 'REGION_NOT_ALLOWED', 'only registered somewhere')
    equal(verdict(ip='198.18.0.1'), 'REGION_NOT_ALLOWED', 'not in the database')
    equal(verdict(ip='192.0.2.1', geo={'country': 'JP'}), 'REGION_NOT_ALLOWED', 'stated otherwise')
    equal(verdict(ip='198.18.0.1', geo={'country': 'US', 'region': 'CA'}), 'VALID', 'stated')
    items = [{'key': key, 'ip': ip} for ip in ('192.0.2.1', '198.18.0.1', '2001:db8:1::1', '198.51.100.1')] + [{'key': plain}]
    answers = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': items}).json['items']
    equal([answer['valid'] for answer in answers], [True, False, False, True, True], 'many')

    checks = {check['rule']: check for check in server.verify(key, ip='192.0.2.1', dryRun=True)['checks']}
    equal(checks['region']['outcome'], 'passed', 'explained')
    narrow = server.create({'ownerId': '1', 'allowedRegions': ['US'], 'allowedIPs': ['203.0.113.1']})[0]
    checks = {check['rule']: check['outcome'] for check in server.verify(narrow, ip='192.0.2.1', dryRun=True)['checks']}
    equal((checks['address'], checks['region']), ('refused', 'passed'), 'each rule by itself')


def failures_count_by_client(server):
    """The 61st refusal of one client has to wait; others behind the same proxy do not. (A minute may pass between.)"""
    never = 'sk_live_' + 'x' * 38

    def statuses(count, *forwarded, **options):
        return [send(server, never, *forwarded, **options).status for _ in range(count)]

    for forwarded, options in ((['203.0.113.77'], {}), (['unknown'], {}), ([], {'source': '127.0.0.3'})):
        seen = statuses(2 * REFUSED_MAX + 2, *forwarded, **options)
        check(429 in seen and seen[0] == 401, f'{forwarded} {options}: {seen}')
    equal(statuses(1, '203.0.113.78'), [401], 'another client')
    equal(statuses(1, '203.0.113.77', source='127.0.0.4'), [401], 'a stranger who names an address that has to wait')


CASES = [the_client_stands_behind_the_proxies, what_stands_left_of_an_untrusted_address_is_made_up,
         an_address_that_nobody_knows_is_refused_where_it_matters, regions_come_from_the_address, parents_bind_their_children,
         management_keys_have_rules_too, a_verification_states_or_is_looked_up, failures_count_by_client]

if __name__ == '__main__':
    with tempfile.TemporaryDirectory(prefix='keyward-origin-') as folder:
        database = pathlib.Path(folder, 'places.mmdb')
        database.write_bytes(mmdb.build(mmdb.PLACES))
        sys.exit(main(CASES, ['--trust-proxy', PROXY, '--trust-proxy=10.0.0.0/8', '--geo-database', str(database)]))
