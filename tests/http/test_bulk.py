"""Many keys in one request: batches, each item with its own answer or all or none, and actions on a filter."""

import sys

from api_support import check, equal, main
from test_routes import UNKNOWN_ID

CREATE, UPDATE, REVOKE = ('/v1/keys/batch/' + word for word in ('create', 'update', 'revoke'))
ADMIN = {'Keyward-Project': 'keyward'}


def send(server, path, items, atomic=None, **options):
    """The items of the answer to a batch."""
    body = {'items': items} if atomic is None else {'items': items, 'atomic': atomic}
    return server.expect(200, 'POST', path, body, **options).json['items']


def outcomes(items):
    return [item.get('code', item['status']) for item in items]


def read(server, record):
    return server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json


def code_of(server, key):
    return server.verify(key).get('code', 'VALID')


def a_batch_creates_in_its_order(server):
    items = [{'ownerId': f'bulk{i}', 'tags': ['many'], 'name': f'n{i}'} for i in range(50)]
    answer = server.expect(200, 'POST', CREATE, {'items': items})
    equal(answer.header('Cache-Control'), 'no-store', 'Cache-Control')
    for i, item in enumerate(answer.json['items']):
        equal((item['status'], item['record']['owner'], item['record']['name']), (201, f'user:bulk{i}', f'n{i}'), f'item {i}')
        equal(server.verify(item['key']), {'valid': True, 'record': item['record']}, f'verdict {i}')
    equal(send(server, CREATE, []), [], 'an empty batch')
    equal(send(server, CREATE, [], True), [], 'an empty batch, all or none')


def a_full_batch_fits(server):
    items = [{'owner': 'team:full', 'orgId': 'acme', 'name': f'Number {i}', 'tags': ['full'], 'scopes': ['orders:read'],
              'metadata': {'row': i, 'source': 'a list of customers'}} for i in range(1000)]
    made = send(server, CREATE, items, True)
    equal({item['status'] for item in made}, {201}, 'statuses')
    equal(len({item['key'] for item in made}), 1000, 'keys')
    server.refuse('INVALID_FIELD', 'POST', CREATE, {'items': items + items[:1]}, field='items', status=400)
    equal({item['status'] for item in send(server, UPDATE, [{'id': item['record']['id'], 'name': 'x'} for item in made])},
          {200}, 'updates')
    gone = send(server, REVOKE, [{'id': item['record']['id']} for item in made], True)
    equal({(item['status'], item['record']['status'], item['record']['version']) for item in gone}, {(200, 'revoked', 3)},
          'revocations')
    verdicts = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [{'key': item['key']} for item in made]})
    equal({verdict['code'] for verdict in verdicts.json['items']}, {'REVOKED'}, 'verdicts')


def large_records_are_left_out_of_an_answer_before_it_is_too_large(server):
    """What was done is done, and is told for every item."""
    _, record = server.create({'ownerId': 'large', 'metadata': {'m': 'x' * 8184}, 'description': 'd' * 1024,
                               'scopes': [f'{i:03}' + 's' * 125 for i in range(128)]})
    items = [{'id': record['id'], 'name': f'n{i}'} for i in range(1000)]
    answer = send(server, UPDATE, items)
    equal({item['status'] for item in answer}, {200}, 'statuses')
    shown = [i for i, item in enumerate(answer) if 'record' in item]
    check(0 < len(shown) < 1000 and shown == list(range(len(shown))), f'{len(shown)} records are shown')
    equal(read(server, record)['version'], 1001, 'version')


def each_item_has_its_own_answer(server):
    before = len(server.everything())
    items = [{'ownerId': 'own'}, {'ownerId': 'own', 'tags': ['a b']}, {'ownerId': 'own', 'env': 'nowhere'}, {'ownerId': 'own'}]
    made = send(server, CREATE, items)
    equal(outcomes(made), [201, 'INVALID_FIELD', 'INVALID_FIELD', 201], 'creations')
    equal([(item['status'], item['field']) for item in made[1:3]], [(400, 'tags[0]'), (400, 'env')], 'fields')
    check(all(item['detail'].startswith(item['field'] + ': ') for item in made[1:3]), 'details')
    equal(len(server.everything()), before + 2, 'keys')

    records = [item['record'] for item in (made[0], made[3])]
    key = server.manager('keys:verify')[1]
    changes = [{'id': records[0]['id'], 'name': 'new'}, {'id': UNKNOWN_ID, 'name': 'x'}, {'id': 'x', 'name': 'x'},
               {'id': key['id'], 'name': 'x'}, {'id': records[1]['id'], 'owner': 'user:2'},
               {'id': records[0]['id'], 'ifVersion': 1, 'name': 'late'}, {'id': records[0]['id'], 'ifVersion': 2, 'tags': ['t']},
               {'id': records[1]['id'], 'expiresAt': '2001-01-01T00:00:00Z'}]
    changed = send(server, UPDATE, changes)
    equal(outcomes(changed), [200, 'KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'CANNOT_CHANGE_FIELD', 'VERSION_CONFLICT',
                              200, 'INVALID_FIELD'], 'updates')
    equal(changed[1:3], changed[2:4], 'unknown ids are answered alike')
    equal((read(server, records[0])['name'], read(server, records[0])['tags']), ('new', ['t']), 'the key that was changed')
    equal(read(server, records[1])['version'], 1, 'the key that was not')

    gone = send(server, REVOKE, [{'id': records[0]['id'], 'reason': 'lost'}, {'id': records[0]['id']}, {'id': UNKNOWN_ID},
                                 {'id': records[1]['id'], 'ifVersion': 7}])
    equal(outcomes(gone), [200, 'ALREADY_REVOKED', 'KEY_NOT_FOUND', 'VERSION_CONFLICT'], 'revocations')
    equal(gone[0]['record']['revokeReason'], 'lost', 'reason')
    equal((code_of(server, made[0]['key']), code_of(server, made[3]['key'])), ('REVOKED', 'VALID'), 'verdicts')


FAULTS = [
    (b'{"ownerId": "f", "scopes": ["a b"]}', 'INVALID_FIELD', 'scopes[0]'), (b'{"ownerId": "f", "expiresIn": "1"}', 'INVALID_FIELD', 'expiresIn'),
    (b'{"ownerId": "f", "colour": 1}', 'UNKNOWN_FIELD', 'colour'), (b'{"ownerId": "f", "ownerId": "g"}', 'DUPLICATE_FIELD', 'ownerId'),
    (b'{"ownerId": "f", "metadata": {"a": 1, "a": [{"b": 2}]}, "name": "x"}', 'INVALID_JSON', ''),
    (b'{"ownerId": "f", "owner": "user:f"}', 'INVALID_FIELD', 'owner'), (b'{"ownerId": "f", "resources": {"a:1": ["x", 2, {"c": []}]}}', 'INVALID_FIELD', 'resources.a:1[1]'),
    (b'{"ownerId": "f", "rateLimits": [{"requests": 1}], "idempotencyKey": "k"}', 'MISSING_FIELD', 'rateLimits[0].window'),
    (b'{"ownerId": "f", "idempotencyKey": "a b"}', 'INVALID_FIELD', 'idempotencyKey'), (b'{"ownerId": "f", "tags": ["a b"]}', 'INVALID_FIELD', 'tags[0]'),
    (b'7', 'INVALID_FIELD', ''), (b'[{"ownerId": "f"}, [1]]', 'INVALID_FIELD', ''), (b'null', 'INVALID_FIELD', ''), (b'{}', 'MISSING_FIELD', 'ownerId')]


def a_fault_of_one_item_is_its_own(server):
    """Whatever is wrong with an item, as long as all of the body is JSON: that one is refused as it would be alone."""
    before = len(server.everything())
    good = b'{"ownerId": "f", "idempotencyKey": "fault%d"}'
    texts = [text for at, (fault, _, _) in enumerate(FAULTS) for text in (good % at, fault)]
    items = server.expect(200, 'POST', CREATE, b'{"items": [' + b', '.join(texts) + b']}').json['items']
    equal({item['status'] for item in items[::2]}, {201}, 'the others')
    for item, (fault, code, field) in zip(items[1::2], FAULTS):
        equal((item['status'], item['code'], item.get('field', '')), (400, code, field), fault)
        if fault.startswith(b'{') and b'idempotencyKey' not in fault:
            alone = server.refuse(code, 'POST', '/v1/keys', fault, field=field)
            check(code == 'INVALID_JSON' or item['detail'] == alone['detail'], f'{fault}: {item["detail"]} and {alone["detail"]}')
    equal(len(server.everything()), before + len(FAULTS), 'keys')
    again = server.expect(200, 'POST', CREATE, b'{"items": [' + b', '.join(texts) + b']}').json['items']
    equal([item['record'] for item in again[::2]], [item['record'] for item in items[::2]], 'again')
    equal(again[1::2], items[1::2], 'what was refused is refused again')
    equal(len(server.everything()), before + len(FAULTS), 'keys')

    record = items[0]['record']
    changed = send(server, UPDATE, [{'id': record['id'], 'name': 'x' * 129}, {'name': 'x'}, {'id': record['id'], 'ifVersion': -1},
                                    {'id': record['id'] + '0'}, {'id': record['id'], 'name': 'new'}])
    equal([(item.get('code', 200), item.get('field')) for item in changed],
          [('INVALID_FIELD', 'name'), ('MISSING_FIELD', 'id'), ('INVALID_FIELD', 'ifVersion'), ('INVALID_FIELD', 'id'), (200, None)], 'updates')
    gone = send(server, REVOKE, [{'id': record['id'], 'reason': 'x' * 257}, {'id': ''}, record['id'], {'id': record['id'], 'reason': 'r'}])
    equal([(item.get('code', 200), item.get('field')) for item in gone],
          [('INVALID_FIELD', 'reason'), ('INVALID_FIELD', 'id'), ('INVALID_FIELD', None), (200, None)], 'revocations')
    equal(outcomes(send(server, CREATE, [1, 2])), ['INVALID_FIELD'] * 2, 'nothing but faults')


def a_verification_that_cannot_be_asked_is_its_own(server):
    key = server.create({'ownerId': '1', 'scopes': ['read']})[0]
    wrong = [({'key': key, 'scopes': ['a b']}, 'INVALID_FIELD', 'scopes[0]'), ({}, 'MISSING_FIELD', 'key'),
             ({'key': key, 'env': 'none'}, 'INVALID_FIELD', 'env'), ({'key': key, 'ip': '1.2.3'}, 'INVALID_FIELD', 'ip'),
             ({'key': key, 'require': 'a AND'}, 'INVALID_FIELD', 'require'), ({'key': key, 'x': 1}, 'UNKNOWN_FIELD', 'x'),
             ({'key': key, 'resource': {'type': 'A', 'id': '1'}}, 'INVALID_FIELD', 'resource.type'), (5, 'INVALID_FIELD', ''),
             ({'key': key, 'cost': 0}, 'INVALID_FIELD', 'cost')]
    asked = [item for question, _, _ in wrong for item in (question, {'key': key, 'scopes': ['read']})]
    items = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [*asked, {'key': 'x'}, {'key': ''}]}).json['items']
    equal({item['valid'] for item in items[1:18:2]}, {True}, 'the others')
    equal([item['code'] for item in items[18:]], ['INVALID_FORMAT', 'MISSING_KEY'], 'verdicts')
    for item, (question, code, field) in zip(items[:18:2], wrong):
        equal((item['valid'], item['status'], item['code'], item.get('field', '')), (False, 400, code, field), str(question))
        check('record' not in item, 'a record')
        if isinstance(question, dict):
            equal(item['detail'], server.refuse(code, 'POST', '/v1/keys/verify', question, field=field)['detail'], 'detail')


def all_or_none(server):
    key, record = server.create({'ownerId': 'atomic'})
    other, second = server.create({'ownerId': 'atomic'})
    before = server.everything()
    refused = send(server, CREATE, [{'ownerId': 'a'}, {'ownerId': 'a', 'scopes': ['*', 'a'], 'tags': ['a b']}, {'ownerId': 'a'}], True)
    equal(outcomes(refused), ['NOT_DONE', 'INVALID_FIELD', 'NOT_DONE'], 'creations')
    check(all('key' not in item and 'record' not in item for item in refused), 'a key is shown that was not made')
    equal(outcomes(send(server, UPDATE, [{'id': record['id'], 'name': 'x'}, {'id': UNKNOWN_ID}], True)),
          ['NOT_DONE', 'KEY_NOT_FOUND'], 'updates')
    equal(outcomes(send(server, REVOKE, [{'id': record['id']}, {'id': second['id']}, {'id': 'x'}], True)),
          ['NOT_DONE', 'NOT_DONE', 'KEY_NOT_FOUND'], 'revocations')
    equal(server.everything(), before, 'the keys after three batches that were refused')
    equal((code_of(server, key), code_of(server, other)), ('VALID', 'VALID'), 'verdicts')
    equal(outcomes(send(server, UPDATE, [{'id': record['id'], 'name': 'x'}, {'id': record['id'], 'ifVersion': 2, 'tags': ['t']}],
                        True)), [200, 200], 'a later item sees an earlier one')
    equal(outcomes(send(server, REVOKE, [{'id': record['id']}, {'id': second['id']}], True)), [200, 200], 'revocations')
    equal((code_of(server, key), code_of(server, other)), ('REVOKED', 'REVOKED'), 'verdicts')


def bad_batches_do_nothing(server):
    _, record = server.create({'ownerId': 'bad'})
    before = server.everything()
    good = {'ownerId': 'bad'}
    for path, body, code, field in [
            (CREATE, {}, 'MISSING_FIELD', 'items'), (CREATE, {'items': {}}, 'INVALID_FIELD', 'items'),
            (CREATE, {'items': [good], 'atomic': 1}, 'INVALID_FIELD', 'atomic'),
            (CREATE, {'items': [good], 'all': True}, 'UNKNOWN_FIELD', 'all'),
            (CREATE, {'items': [good, {**good, 'x': 1}], 'all': True}, 'UNKNOWN_FIELD', 'all'),
            (CREATE, b'{"items": [{"ownerId": "bad"}, {"ownerId": "bad", "x": nul}]}', 'INVALID_JSON', ''),
            (CREATE, b'{"items": [{"ownerId": "bad"}, {"x": 1, "ownerId": "bad"}, {"ownerId": "\\ud800"}]}', 'INVALID_JSON', '')]:
        server.refuse(code, 'POST', path, body, field=field, status=400)
    equal(server.everything(), before, 'the keys after all these')


def a_fault_in_a_batch_that_is_all_or_none(server):
    """It is answered where it is, as without `atomic`; the others say that they were left alone because of it."""
    _, record = server.create({'ownerId': 'bad'})
    before = server.everything()
    good = {'ownerId': 'bad'}
    for path, items, at, code, field in [
            (CREATE, [good, 1], 1, 'INVALID_FIELD', None),
            (CREATE, [good, {**good, 'id': record['id']}], 1, 'UNKNOWN_FIELD', 'id'),
            (CREATE, [good, {**good, 'name': 'x' * 129}], 1, 'INVALID_FIELD', 'name'),
            (UPDATE, [{'name': 'x'}], 0, 'MISSING_FIELD', 'id'),
            (UPDATE, [{'id': record['id'], 'ifVersion': -1}], 0, 'INVALID_FIELD', 'ifVersion'),
            (UPDATE, [{'id': record['id'], 'ifVersion': '1'}], 0, 'INVALID_FIELD', 'ifVersion'),
            (UPDATE, [{'id': record['id'] + '0', 'name': 'x'}], 0, 'INVALID_FIELD', 'id'),
            (REVOKE, [{'id': record['id']}, {'id': ''}], 1, 'INVALID_FIELD', 'id'),
            (REVOKE, [{'id': record['id'], 'reason': 'x' * 257}], 0, 'INVALID_FIELD', 'reason'),
            (REVOKE, [record['id']], 0, 'INVALID_FIELD', None),
            (CREATE, [good, {**good, 'idempotencyKey': 'a b', 'name': 'x'}], 1, 'INVALID_FIELD', 'idempotencyKey'),
            (REVOKE, [{'id': record['id'], 'name': 'x'}], 0, 'UNKNOWN_FIELD', 'name')]:
        answers = send(server, path, items, True)
        equal(outcomes(answers), [code if i == at else 'NOT_DONE' for i in range(len(items))], str(items))
        equal((answers[at]['status'], answers[at].get('field')), (400, field), str(items))
        equal({answers[i]['status'] for i in range(len(items)) if i != at} - {409}, set(), str(items))
        alone = send(server, path, [items[at]])
        equal(alone, [answers[at]], 'the same without atomic')
    both = send(server, UPDATE, [{'id': UNKNOWN_ID}, {'id': record['id'], 'name': 1}, {'id': record['id'], 'name': 'x'}], True)
    equal(outcomes(both), ['KEY_NOT_FOUND', 'INVALID_FIELD', 'NOT_DONE'], 'one that cannot be read, and one that cannot be done')
    equal(server.everything(), before, 'the keys after all these')


def crowd(server, mark):
    """Keys of two users, two organisations and two tags: {name: (key, record)}."""
    return {user + org + tag: server.create({'ownerId': mark + user, 'orgId': mark + org, 'tags': [mark + tag]})
            for user in 'ab' for org in 'xy' for tag in 'tu'}


def check_codes(server, keys, changed, code):
    for name, (key, _) in keys.items():
        equal(code_of(server, key), code if name in changed else 'VALID', f'verdict on {name}')


def a_filter_means_what_all_of_it_holds_for(server):
    keys = crowd(server, 'where')
    for body, names in [
            ({'ownerId': 'wherea'}, {'axt', 'axu', 'ayt', 'ayu'}), ({'owner': 'user:whereb'}, {'bxt', 'bxu', 'byt', 'byu'}),
            ({'org': 'wherex'}, {'axt', 'axu', 'bxt', 'bxu'}), ({'tag': 'whereT'}, {'axt', 'ayt', 'bxt', 'byt'}),
            ({'ownerId': 'wherea', 'org': 'wherey'}, {'ayt', 'ayu'}),
            ({'ownerId': 'wherea', 'org': 'wherey', 'tag': 'whereu'}, {'ayu'}), ({'org': 'wherez'}, set()),
            ({'ids': [keys['axt'][1]['id'], keys['byu'][1]['id'], keys['axt'][1]['id']]}, {'axt', 'byu'})]:
        count = len(names)
        equal(server.expect(200, 'POST', '/v1/keys/disable', {**body, 'reason': 'r'}).json, {'changed': count, 'matched': count},
              str(body))
        check_codes(server, keys, names, 'DISABLED')
        equal(server.expect(200, 'POST', '/v1/keys/disable', body).json, {'changed': 0, 'matched': count}, 'again')
        equal(server.expect(200, 'POST', '/v1/keys/enable', body).json, {'changed': count, 'matched': count}, 'enabled')
        check_codes(server, keys, set(), '')
    gone = server.expect(200, 'POST', '/v1/keys/revoke', {'ownerId': 'wherea', 'org': 'wherex', 'reason': 'over'}).json
    equal(gone, {'changed': 2, 'matched': 2}, 'revoked')
    check_codes(server, keys, {'axt', 'axu'}, 'REVOKED')
    record = read(server, keys['axt'][1])
    equal((record['revokeReason'], record['status']), ('over', 'revoked'), 'reason')
    equal(server.expect(200, 'POST', '/v1/keys/revoke', {'org': 'wherex'}).json, {'changed': 2, 'matched': 4}, 'the others')
    for action in ('enable', 'disable', 'revoke'):
        equal(server.expect(200, 'POST', f'/v1/keys/{action}', {'org': 'wherex'}).json, {'changed': 0, 'matched': 4},
              f'{action} of revoked keys')


def bad_filters_change_nothing(server):
    key, record = server.create({'ownerId': 'filter', 'orgId': 'filter', 'tags': ['filter']})
    foreign = server.manager('keys:verify', owner='user:filter')[1]
    for action in ('revoke', 'disable', 'enable'):
        path = f'/v1/keys/{action}'
        for body, code, field, status in [
                ({}, 'MISSING_FIELD', None, 400), ({'reason': 'all'}, 'MISSING_FIELD', None, 400),
                ({'ids': []}, 'INVALID_FIELD', 'ids', 400), ({'owner': ''}, 'INVALID_FIELD', 'owner', 400),
                ({'org': ''}, 'INVALID_FIELD', 'org', 400), ({'tag': ''}, 'INVALID_FIELD', 'tag', 400),
                ({'tag': None}, 'INVALID_FIELD', 'tag', 400), ({'owner': 'filter'}, 'INVALID_FIELD', 'owner', 400),
                ({'owner': 'user:filter', 'ownerId': 'filter'}, 'INVALID_FIELD', None, 400),
                ({'ids': [record['id']], 'tag': 'filter'}, 'INVALID_FIELD', 'ids', 400),
                ({'ids': [record['id'], UNKNOWN_ID]}, 'KEY_NOT_FOUND', 'ids[1]', 404),
                ({'ids': [record['id'], 'x']}, 'KEY_NOT_FOUND', 'ids[1]', 404),
                ({'ids': [foreign['id'], record['id']]}, 'KEY_NOT_FOUND', 'ids[0]', 404),
                ({'ids': [record['id']] * 10001}, 'INVALID_FIELD', 'ids', 400),
                ({'status': 'active'}, 'UNKNOWN_FIELD', 'status', 400),
                ({'tag': 'filter', 'cascade': 'no'}, 'UNKNOWN_FIELD' if action == 'enable' else 'INVALID_FIELD', 'cascade', 400),
                ({'tag': 'filter', 'reason': 'x' * 257}, 'INVALID_FIELD', 'reason', 400)]:
            server.refuse(code, 'POST', path, body, field=field, status=status)
        server.refuse('INVALID_JSON', 'POST', path)
    equal(server.expect(200, 'POST', '/v1/keys/disable', {'ids': [record['id']] * 10000}).json, {'changed': 1, 'matched': 1},
          'as many ids as fit')
    equal(server.expect(200, 'POST', '/v1/keys/enable', {'ownerId': 'filter'}).json, {'changed': 1, 'matched': 1},
          "a filter does not reach another project's keys")
    equal((code_of(server, key), read(server, record)['version']), ('VALID', 3), 'the key')


def a_careful_action_leaves_no_orphan(server):
    """Children that it means itself are no obstacle; one that it does not mean is named, and nothing is changed."""
    keys = {'parent': server.create({'ownerId': 'careful', 'tags': ['careful']})}
    for name, owner in (('inside', 'careful'), ('outside', 'other')):
        keys[name] = server.create({'parentId': keys['parent'][1]['id'], 'ownerId': owner, 'tags': ['careful']})
    keys['below'] = server.create({'parentId': keys['inside'][1]['id'], 'tags': ['careful']})
    ids = {name: record['id'] for name, (_, record) in keys.items()}
    for action, code in (('disable', 'DISABLED'), ('revoke', 'REVOKED')):
        path = f'/v1/keys/{action}'
        for body in ({'ownerId': 'careful'}, {'ids': [ids['parent'], ids['inside'], ids['below']]}):
            detail = server.refuse('HAS_CHILDREN', 'POST', path, {**body, 'cascade': False}, status=409)['detail']
            check(ids['parent'] in detail and ids['outside'] in detail, detail)
            check_codes(server, keys, set(), '')
        server.refuse('HAS_CHILDREN', 'POST', f'/v1/keys/{ids["inside"]}/{action}', {'cascade': False}, status=409)
        everyone = {'tag': 'careful', 'cascade': False}
        equal(server.expect(200, 'POST', path, everyone).json, {'changed': 4, 'matched': 4}, action)
        check_codes(server, keys, keys, code)
        equal(server.expect(200, 'POST', path, everyone).json, {'changed': 0, 'matched': 4}, 'again')
        if action == 'disable':
            server.expect(200, 'POST', '/v1/keys/enable', {'ids': [ids['parent'], ids['inside']]})
            equal(server.expect(200, 'POST', path, {'ownerId': 'careful', 'cascade': False}).json, {'changed': 2, 'matched': 2},
                  'children that are disabled already are no orphans')
            server.expect(200, 'POST', '/v1/keys/enable', {'tag': 'careful'})
    first, second = (server.create({'ownerId': 'careful2'})[1]['id'] for _ in range(2))
    server.create({'parentId': first})
    items = [{'id': first, 'cascade': False}, {'id': second, 'cascade': False}]
    equal(outcomes(send(server, REVOKE, items)), ['HAS_CHILDREN', 200], 'a batch')
    equal(server.expect(200, 'POST', '/v1/keys/revoke', {'ids': [first], 'cascade': True}).json['changed'], 1, 'with cascade')


def one_action_changes_more_than_any_batch(server):
    item = {'ownerId': 'crowd', 'tags': ['first']}
    made = [send(server, CREATE, [item] * 1000, True)[999] for _ in range(11)]
    extra, record = server.create({'ownerId': 'crowd', 'tags': ['second']})
    for action, code in (('disable', 'DISABLED'), ('revoke', 'REVOKED')):
        done = server.expect(200, 'POST', f'/v1/keys/{action}', {'ownerId': 'crowd', 'tag': 'FIRST'}).json
        equal(done, {'changed': 11000, 'matched': 11000}, action)
        check(all(code_of(server, item['key']) == code for item in made), action)
        equal(code_of(server, extra), 'VALID', 'the one that was left out')
    equal(server.expect(200, 'POST', '/v1/keys/revoke', {'ownerId': 'crowd'}).json, {'changed': 1, 'matched': 11001}, 'the rest')
    times = {server.expect(200, 'GET', f'/v1/keys/{item["record"]["id"]}').json['revokedAt'] for item in made}
    equal(len(times), 1, 'moments of one action')


def a_crowd_is_changed_whole_or_not_at_all(server):
    """The last of a crowd, which is decided on long after the first, may be what stands in the way of all."""
    root = [{'owner': 'service:x', 'resources': {'project:default': ['keys:verify']}, 'tags': ['masses']}] * 700
    made = send(server, CREATE, root, headers=ADMIN)
    last, record = server.manager('keys:verify', 'keys:create', tags=['masses'])
    lesser, _ = server.manager('keys:revoke', 'keys:verify', project='keyward')
    server.refuse('FORBIDDEN', 'POST', '/v1/keys/revoke', {'tag': 'masses'}, key=lesser, headers=ADMIN, status=403)
    server.expect(200, 'POST', '/v1/keys/verify', {'key': 'x'}, key=made[0]['key'])
    equal(server.expect(200, 'GET', f'/v1/keys/{made[0]["record"]["id"]}', headers=ADMIN).json['version'], 1, 'version')
    equal(server.expect(200, 'POST', '/v1/keys/revoke', {'tag': 'masses'}, headers=ADMIN).json['changed'], 701, 'by who may')
    for key in (made[0]['key'], made[699]['key'], last):
        server.refuse('UNAUTHORIZED', 'POST', '/v1/keys/verify', {'key': 'x'}, key=key, status=401)


def a_careful_action_on_a_crowd(server):
    """A child far behind its parent is no orphan when it is meant too, and one when it is not."""
    parent, first = server.create({'ownerId': 'p', 'tags': ['family']})
    send(server, CREATE, [{'ownerId': 'p', 'tags': ['family']}] * 700, True)
    child, second = server.create({'parentId': first['id'], 'tags': ['family']})
    stranger, third = server.create({'parentId': first['id'], 'tags': ['other']})
    body = {'tag': 'family', 'cascade': False}
    detail = server.refuse('HAS_CHILDREN', 'POST', '/v1/keys/revoke', body, status=409)['detail']
    check(first['id'] in detail and third['id'] in detail, detail)
    equal([code_of(server, key) for key in (parent, child, stranger)], ['VALID'] * 3, 'verdicts')
    server.expect(200, 'POST', f'/v1/keys/{third["id"]}/revoke', {})
    equal(server.expect(200, 'POST', '/v1/keys/revoke', body).json, {'changed': 702, 'matched': 702}, 'the crowd')
    equal([code_of(server, key) for key in (parent, child)], ['REVOKED'] * 2, 'verdicts')


def a_management_key_reaches_no_further_in_many(server):
    """In the project of management keys each of many is held to what the caller may do."""
    lesser, own = server.manager('keys:create', 'keys:revoke', 'keys:update', project='keyward', tags=['bulkadmin'])
    strong, record = server.manager('keys:verify', tags=['bulkadmin'])
    items = [{'owner': 'service:x', 'resources': {'project:keyward': ['keys:create']}},
             {'owner': 'service:x', 'resources': {'project:default': ['keys:verify']}}]
    equal(outcomes(send(server, CREATE, items, key=lesser, headers=ADMIN)), [201, 'FORBIDDEN'], 'creations')
    equal(outcomes(send(server, CREATE, items, True, key=lesser, headers=ADMIN)), ['NOT_DONE', 'FORBIDDEN'], 'all or none')
    equal(outcomes(send(server, REVOKE, [{'id': record['id']}], key=lesser, headers=ADMIN)), ['FORBIDDEN'], 'revocations')
    server.refuse('FORBIDDEN', 'POST', '/v1/keys/revoke', {'tag': 'bulkadmin'}, key=lesser, headers=ADMIN, status=403)
    server.expect(200, 'POST', '/v1/keys/verify', {'key': 'x'}, key=strong)
    done = server.expect(200, 'POST', '/v1/keys/revoke', {'ids': [own['id']]}, key=lesser, headers=ADMIN).json
    equal(done, {'changed': 1, 'matched': 1}, 'its own end')
    server.refuse('UNAUTHORIZED', 'POST', '/v1/keys/revoke', {'tag': 'bulkadmin'}, key=lesser, headers=ADMIN, status=401)


def what_was_done_outlives_a_restart(server):
    made = send(server, CREATE, [{'ownerId': 'again'}] * 3, True)
    server.expect(200, 'POST', '/v1/keys/revoke', {'ids': [made[0]['record']['id'], made[1]['record']['id']]})
    server.stop()
    server.start()
    equal([code_of(server, item['key']) for item in made], ['REVOKED', 'REVOKED', 'VALID'], 'verdicts after a restart')


if __name__ == '__main__':
    sys.exit(main([
        a_batch_creates_in_its_order, a_full_batch_fits, large_records_are_left_out_of_an_answer_before_it_is_too_large,
        each_item_has_its_own_answer, a_fault_of_one_item_is_its_own, a_verification_that_cannot_be_asked_is_its_own, all_or_none, bad_batches_do_nothing,
        a_fault_in_a_batch_that_is_all_or_none, a_filter_means_what_all_of_it_holds_for,
        bad_filters_change_nothing, a_careful_action_leaves_no_orphan,
        one_action_changes_more_than_any_batch, a_crowd_is_changed_whole_or_not_at_all, a_careful_action_on_a_crowd, a_management_key_reaches_no_further_in_many,
        what_was_done_outlives_a_restart]))
