"""Projects as documents: what they may say, what takes effect, what is refused, and where their keys stand in requests."""

import http.client
import json
import sys
import urllib.parse

from api_support import check, equal, main

PATH = '/v1/projects'


def project(server, name, **settings):
    return server.expect(201, 'POST', PATH, {'name': name, **settings}).json


def of(name):
    return {'Keyward-Project': name}


def built_in_projects_are_shown(server):
    answer = server.expect(200, 'GET', PATH + '/default')
    equal([env['name'] for env in answer.json['environments']], ['live', 'test'], 'environments')
    equal(answer.json['keyHeaders'], ['Authorization', 'X-API-Key'], 'where keys stand')
    equal(answer.json['allowKeyInQuery'], 'never', 'keys in queries')
    equal(answer.header('ETag'), '"1"', 'version')
    names = [item['name'] for item in server.expect(200, 'GET', PATH).json['items']]
    check(names[:2] == ['default', 'keyward'] and names == sorted(names), str(names))


def a_project_is_made_and_used(server):
    answer = server.expect(201, 'POST', PATH, {'name': 'acme', 'environments': [
        {'name': 'prod', 'secretPrefix': 'acme_', 'length': 40, 'alphabet': '0123456789abcdef'},
        {'name': 'dev', 'secretPrefix': 'acmedev_', 'publicPrefix': 'acmepub_'}]})
    equal(answer.header('Location'), '/v1/projects/acme', 'address')
    check(answer.json['number'] > 2, 'number')
    key, record = server.create(headers=of('acme'))
    check(key.startswith('acme_') and len(key) == 5 + 40 + 6, 'form of the key')
    check(set(key[5:45]) <= set('0123456789abcdef'), 'alphabet of the key')
    equal((record['projectId'], record['env']), ('acme', 'prod'), 'where the key is')
    public, _ = server.create({'ownerId': '1', 'env': 'dev', 'isPublic': True}, headers=of('acme'))
    check(public.startswith('acmepub_'), 'prefix of a public key')
    verdict = server.expect(200, 'POST', '/v1/keys/verify', {'key': key}, headers=of('acme')).json
    equal(verdict['valid'], True, 'in its project')
    equal(server.verify(key)['code'], 'INVALID_FORMAT', 'in another project')
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'isPublic': True}, field='isPublic', headers=of('acme'))
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'env': 'live'}, field='env', headers=of('acme'))


def what_a_project_says_is_checked(server):
    env = {'name': 'live', 'secretPrefix': 'x_'}
    other = {'name': 'two', 'secretPrefix': 'y_'}
    weak = [{**env, 'length': 21}, {**env, 'length': 32, 'alphabet': '0123456789'}, {**env, 'length': 127, 'alphabet': '01'}]
    for environment in weak:
        server.refuse('WEAK_KEY_FORMAT', 'POST', PATH, {'name': 'bad', 'environments': [environment]},
                      field='environments[0].length', status=400)
    for settings, code, field in [
            ({'environments': []}, 'INVALID_FIELD', 'environments'),
            ({'environments': [env] * 17}, 'INVALID_FIELD', 'environments'),
            ({'environments': [{'name': 'live'}]}, 'MISSING_FIELD', 'environments[0].secretPrefix'),
            ({'environments': [{**env, 'name': 'Live'}]}, 'INVALID_FIELD', 'environments[0].name'),
            ({'environments': [{**env, 'secretPrefix': 'x'}]}, 'INVALID_FIELD', 'environments[0].secretPrefix'),
            ({'environments': [{**env, 'publicPrefix': 'X_'}]}, 'INVALID_FIELD', 'environments[0].publicPrefix'),
            ({'environments': [{**env, 'alphabet': 'aab'}]}, 'INVALID_FIELD', 'environments[0].alphabet'),
            ({'environments': [{**env, 'length': 0}]}, 'INVALID_FIELD', 'environments[0].length'),
            ({'environments': [{**env, 'length': 129}]}, 'INVALID_FIELD', 'environments[0].length'),
            ({'environments': [{**env, 'colour': 1}]}, 'UNKNOWN_FIELD', 'environments[0].colour'),
            ({'environments': [env, {**other, 'name': 'live'}]}, 'INVALID_FIELD', 'environments[1].name'),
            ({'environments': [env, {**other, 'secretPrefix': 'x_'}]}, 'INVALID_FIELD', 'environments[1].secretPrefix'),
            ({'environments': [env, {**other, 'secretPrefix': 'x_y_'}]}, 'INVALID_FIELD', 'environments[1].secretPrefix'),
            ({'environments': [env, {**other, 'publicPrefix': 'x_y_'}]}, 'INVALID_FIELD', 'environments[1].publicPrefix'),
            ({'environments': [{**env, 'publicPrefix': 'x_'}]}, 'INVALID_FIELD', 'environments[0].publicPrefix'),
            ({'defaultExpiresIn': '1'}, 'INVALID_FIELD', 'defaultExpiresIn'),
            ({'defaultExpiresIn': '2d', 'maxExpiresIn': '1d'}, 'INVALID_FIELD', 'defaultExpiresIn'),
            ({'digest': 'md5'}, 'INVALID_FIELD', 'digest'),
            ({'digest': 256}, 'INVALID_FIELD', 'digest'),
            ({'presets': {'a b': ['read']}}, 'INVALID_FIELD', 'presets'),
            ({'presets': {'support': ['no scope']}}, 'INVALID_FIELD', 'presets.support[0]'),
            ({'presets': {'support': 'read'}}, 'INVALID_FIELD', 'presets.support'),
            ({'presets': {f'p{n}': ['read'] for n in range(65)}}, 'INVALID_FIELD', 'presets'),
            ({'keyHeaders': []}, 'INVALID_FIELD', 'keyHeaders'),
            ({'keyHeaders': ['Host']}, 'INVALID_FIELD', 'keyHeaders[0]'),
            ({'keyHeaders': ['Keyward-Key-Id']}, 'INVALID_FIELD', 'keyHeaders[0]'),
            ({'keyHeaders': ['a b']}, 'INVALID_FIELD', 'keyHeaders[0]'),
            ({'keyHeaders': ['X-Own', 'x-own']}, 'INVALID_FIELD', 'keyHeaders[1]'),
            ({'allowKeyInQuery': True}, 'INVALID_FIELD', 'allowKeyInQuery'),
            ({'allowKeyInQuery': 'api_key'}, 'INVALID_FIELD', 'allowKeyInQuery'),
            ({'allowKeyInQuery': {'parameter': 'api_key'}}, 'MISSING_FIELD', 'allowKeyInQuery.iUnderstandKeysEndUpInLogs'),
            ({'allowKeyInQuery': {'parameter': 'api_key', 'iUnderstandKeysEndUpInLogs': False}}, 'INVALID_FIELD',
             'allowKeyInQuery.iUnderstandKeysEndUpInLogs'),
            ({'allowKeyInQuery': {'parameter': 'a&b', 'iUnderstandKeysEndUpInLogs': True}}, 'INVALID_FIELD',
             'allowKeyInQuery.parameter'),
            ({'description': 'x' * 1025}, 'INVALID_FIELD', 'description'),
            ({'colour': 'red'}, 'UNKNOWN_FIELD', 'colour'),
            ({'number': 9}, 'CANNOT_CHANGE_FIELD', 'number'),
            ({'version': 9}, 'CANNOT_CHANGE_FIELD', 'version'),
            ({'name': 'Bad'}, 'INVALID_FIELD', 'name'), ({'name': '1bad'}, 'INVALID_FIELD', 'name'),
            ({'name': 'x' * 65}, 'INVALID_FIELD', 'name'), ({'name': 'a/b'}, 'INVALID_FIELD', 'name'),
            ({'name': 'default'}, 'ALREADY_EXISTS', 'name'), ({'name': 7}, 'INVALID_FIELD', 'name')]:
        server.refuse(code, 'POST', PATH, {'name': 'bad', **settings}, field=field)
    server.refuse('MISSING_FIELD', 'POST', PATH, {}, field='name')
    server.refuse('DUPLICATE_FIELD', 'POST', PATH, b'{"name":"bad","name":"bad"}', field='name')
    server.refuse('INVALID_REQUEST', 'POST', PATH, b'[]')
    server.refuse('INVALID_JSON', 'POST', PATH, b'{"name":')
    big = {f'p{n}': ['s' * 120 + str(i) for i in range(10)] for n in range(60)}
    server.refuse('BODY_TOO_LARGE', 'POST', PATH, {'name': 'bad', 'presets': big}, status=413)
    server.refuse('PROJECT_NOT_FOUND', 'GET', PATH + '/bad')


def a_change_names_its_version(server):
    project(server, 'versions')
    changed = server.expect(200, 'PATCH', PATH + '/versions', {'defaultExpiresIn': '30d'}, headers={'If-Match': '"1"'})
    equal((changed.header('ETag'), changed.json['version'], changed.json['defaultExpiresIn']), ('"2"', 2, '30d'), 'change')
    equal(changed.json['keyHeaders'], ['Authorization', 'X-API-Key'], 'what was not given')
    server.refuse('VERSION_CONFLICT', 'PATCH', PATH + '/versions', {}, headers={'If-Match': '"1"'}, status=409)
    server.refuse('VERSION_CONFLICT', 'DELETE', PATH + '/versions', headers={'If-Match': '"1"'}, status=409)
    server.refuse('INVALID_FIELD', 'PATCH', PATH + '/versions', {}, headers={'If-Match': '2'}, field='If-Match')
    server.refuse('CANNOT_CHANGE_FIELD', 'PATCH', PATH + '/versions', {'name': 'other'}, field='name')
    cleared = server.expect(200, 'PATCH', PATH + '/versions', {'name': 'versions', 'defaultExpiresIn': None}).json
    check('defaultExpiresIn' not in cleared and cleared['version'] == 3, str(cleared))
    server.refuse('PROJECT_NOT_FOUND', 'PATCH', PATH + '/nobody', {})
    equal(server.expect(200, 'GET', PATH + '/versions').json, cleared, 'read again')


def what_has_keys_stays(server):
    project(server, 'keeps', environments=[{'name': 'live', 'secretPrefix': 'a_'}, {'name': 'test', 'secretPrefix': 'b_'}])
    _, record = server.create({'ownerId': '1', 'env': 'test'}, headers=of('keeps'))
    server.refuse('IN_USE', 'PATCH', PATH + '/keeps', {'environments': [{'name': 'live', 'secretPrefix': 'a_'}]},
                  field='environments', status=409)
    server.refuse('IN_USE', 'PATCH', PATH + '/keeps', {'environments': [
        {'name': 'live', 'secretPrefix': 'a_'}, {'name': 'test', 'secretPrefix': 'c_'}]}, field='environments')
    server.expect(200, 'PATCH', PATH + '/keeps', {'environments': [
        {'name': 'test', 'secretPrefix': 'b_', 'publicPrefix': 'd_', 'length': 64}]})
    server.refuse('IN_USE', 'DELETE', PATH + '/keeps', status=409)
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', headers=of('keeps'))
    server.refuse('IN_USE', 'DELETE', PATH + '/keeps')
    server.expect(204, 'DELETE', f'/v1/keys/{record["id"]}', headers=of('keeps'))
    server.expect(204, 'DELETE', PATH + '/keeps')
    server.refuse('PROJECT_NOT_FOUND', 'GET', PATH + '/keeps')
    server.refuse('PROJECT_NOT_FOUND', 'GET', '/v1/keys', headers=of('keeps'))
    server.refuse('ALREADY_EXISTS', 'POST', PATH, {'name': 'keeps'}, field='name', status=409)


def what_is_built_in_stays(server):
    server.refuse('BUILT_IN', 'PATCH', PATH + '/keyward', {'defaultExpiresIn': '1d'}, status=409)
    server.refuse('BUILT_IN', 'DELETE', PATH + '/keyward')
    server.refuse('BUILT_IN', 'DELETE', PATH + '/default')
    for path in ('/v1/policies', '/v1/templates'):
        server.refuse('BUILT_IN', 'POST', path, {'name': 'x'}, headers=of('keyward'))


def a_life_is_bounded(server):
    project(server, 'bounded', defaultExpiresIn='30d', maxExpiresIn='90d')
    project(server, 'longest', maxExpiresIn='90d')
    def create(body, name='bounded'):
        return server.create({'ownerId': '1', **body}, headers=of(name))[1]
    def days(record):
        from datetime import datetime
        ends, begins = (datetime.fromisoformat(record[field]) for field in ('expiresAt', 'createdAt'))
        return (ends - begins).total_seconds() / 86400
    equal(days(create({})), 30, 'days of a key that names none')
    equal(days(create({}, 'longest')), 90, 'days where only the longest life is set')
    record = create({'expiresIn': '90d'})
    equal(days(record), 90, 'the longest life')
    for body, field in [({'expiresIn': '91d'}, 'expiresIn'), ({'expiresAt': '2090-01-01T00:00:00Z'}, 'expiresAt')]:
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', **body}, field=field, headers=of('bounded'))
        for method, path in [('PATCH', ''), ('POST', '/rotate')]:
            server.refuse('INVALID_FIELD', method, f'/v1/keys/{record["id"]}{path}', body, field=field, headers=of('bounded'))
    server.refuse('INVALID_FIELD', 'PATCH', f'/v1/keys/{record["id"]}', {'expiresAt': None}, field='expiresAt',
                  headers=of('bounded'))
    server.expect(200, 'PATCH', f'/v1/keys/{record["id"]}', {'name': 'kept'}, headers=of('bounded'))


def presets_give_scopes(server):
    project(server, 'presets', presets={'support': ['tickets:read'], 'fullAccess': ['a', 'b']})
    def scopes(body, name='presets'):
        return server.create({'ownerId': '1', **body}, headers=of(name))[1]['scopes']
    equal(scopes({'preset': 'readOnly'}), ['read', 'read:*'], 'a preset that is built in')
    equal(scopes({'preset': 'support', 'scopes': ['x', 'tickets:read']}), ['tickets:read', 'x'], 'both together')
    equal(scopes({'preset': 'fullAccess'}), ['a', 'b'], 'a preset that is overridden')
    equal(scopes({'preset': 'fullAccess'}, 'default'), ['*'], 'full access')
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'preset': 'support'}, field='preset')


def only_who_may_changes_projects(server):
    project(server, 'mine')
    project(server, 'theirs')
    key, _ = server.manager('projects:*', 'keys:*', project='mine')
    equal([item['name'] for item in server.expect(200, 'GET', PATH, key=key).json['items']], ['mine'], 'its own alone')
    equal('nextCursor' in server.expect(200, 'GET', PATH + '?limit=1', key=key).json, False, 'more of them')
    server.expect(200, 'GET', PATH + '/mine', key=key)
    server.expect(200, 'PATCH', PATH + '/mine', {'defaultExpiresIn': '1d'}, key=key)
    server.refuse('PROJECT_NOT_FOUND', 'GET', PATH + '/theirs', key=key)
    server.refuse('PROJECT_NOT_FOUND', 'PATCH', PATH + '/theirs', {}, key=key)
    server.refuse('PROJECT_NOT_FOUND', 'DELETE', PATH + '/theirs', key=key)
    server.refuse('FORBIDDEN', 'POST', PATH, {'name': 'third'}, key=key, status=403)
    server.refuse('FORBIDDEN', 'DELETE', PATH + '/mine', key=key)
    reader, _ = server.manager('projects:read', project='mine')
    server.expect(200, 'GET', PATH + '/mine', key=reader)
    server.refuse('FORBIDDEN', 'PATCH', PATH + '/mine', {}, key=reader)
    server.refuse('UNAUTHORIZED', 'GET', PATH, key=None)
    clerk, _ = server.manager('keys:*', project='mine')
    for path in (PATH, '/v1/policies', '/v1/templates'):
        server.refuse('FORBIDDEN', 'GET', path, key=clerk)


def lists_go_on(server):
    for at in range(5):
        project(server, f'page{at}')
    names, cursor = [], ''
    while True:
        page = server.expect(200, 'GET', f'{PATH}?limit=2{cursor}').json
        names += [item['name'] for item in page['items']]
        if 'nextCursor' not in page:
            break
        cursor = '&cursor=' + page['nextCursor']
    equal(names, sorted(set(names)), 'every project once, in order')
    check({f'page{at}' for at in range(5)} <= set(names), str(names))


def authorize(server, name, headers=None, query=''):
    return server.raw('GET', f'/v1/authorize/{name}{query}', None, headers or {})


def twice(server, name, header, *values):
    """The status of a request in which a header stands as often as there are values."""
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=20)
    try:
        connection.putrequest('GET', f'/v1/authorize/{name}')
        for value in values:
            connection.putheader(header, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def keys_stand_where_the_project_says(server):
    project(server, 'places', keyHeaders=['X-Shop-Key', 'authorization'])
    key, record = server.create(headers=of('places'))
    other, another = server.create(headers=of('places'))
    equal(authorize(server, 'places', {'x-shop-KEY': key}).status, 200, 'a header of its own, in another case')
    equal(authorize(server, 'places', {'Authorization': f'bearer {key}'}).status, 200, 'Authorization')
    equal(authorize(server, 'places', {'X-API-Key': key}).status, 401, 'a header that it does not name')
    equal(authorize(server, 'places', {'X-Shop-Key': key, 'Authorization': f'Bearer {key}'}).status, 200, 'both')
    def taken(sent, query=''):
        answer = authorize(server, 'places', sent, query)
        return answer.status, answer.header('Keyward-Key-Id')
    equal(taken({'X-Shop-Key': key, 'Authorization': f'Bearer {other}'}), (200, record['id']), "two: the project's order decides")
    equal(taken({'Authorization': f'Bearer {key}', 'X-Shop-Key': other}), (200, another['id']), "not the request's order")
    elsewhere = server.create()[0]
    equal(taken({'X-Shop-Key': elsewhere, 'Authorization': f'Bearer {key}'}), (401, ''), "another project's key in the first")
    equal(taken({'X-Shop-Key': key, 'Authorization': f'Bearer {server.root}'}), (200, record['id']), 'a management key behind it')
    equal(twice(server, 'places', 'X-Shop-Key', key, other), 400, 'one header twice')
    equal(twice(server, 'places', 'X-Shop-Key', key, key), 200, 'the same twice')
    equal(twice(server, 'places', 'Authorization', f'Bearer {key}', f'Bearer {other}'), 400, 'Authorization twice')
    equal(twice(server, 'places', 'Authorization', f'Bearer {key}', f'Bearer {key}'), 400, 'Authorization twice, with one key')
    equal(twice(server, 'places', 'X-API-Key', key, key), 400, 'X-API-Key twice, with one key')
    equal(authorize(server, 'places', {'X-Shop-Key': key, 'Authorization': 'Basic YTpi'}).status, 200, 'beside another scheme')
    equal(authorize(server, 'places', {}, f'?key={key}').status, 401, 'the query, which nobody allowed')
    equal(authorize(server, 'default', {'X-API-Key': key}).status, 401, 'another project')
    equal(authorize(server, 'keyward', {'Authorization': f'Bearer {server.root}'}).status, 404, 'management keys')
    server.expect(200, 'PATCH', PATH + '/places', {'keyHeaders': None, 'allowKeyInQuery': {
        'parameter': 'api_key', 'iUnderstandKeysEndUpInLogs': True}})
    equal(authorize(server, 'places', {'X-Shop-Key': key}).status, 401, 'a header that it named before')
    equal(authorize(server, 'places', {'X-API-Key': key}).status, 200, 'the usual header')
    equal(authorize(server, 'places', {}, f'?a=b&api_key={key}').status, 200, 'the query')
    equal(taken({'X-API-Key': other}, f'?api_key={key}'), (200, another['id']), 'a header goes before the query')
    equal(taken({}, f'?api_key={key}&api_key={other}')[0], 400, 'a parameter twice')
    server.expect(200, 'PATCH', PATH + '/places', {'keyHeaders': ['Authorization', 'X-Shop-Key']})
    equal(taken({'X-Shop-Key': key, 'Authorization': f'Bearer {other}'}), (200, another['id']), 'another order')
    equal(taken({'X-Shop-Key': key, 'Authorization': 'Bearer '}), (200, record['id']), 'nothing in the first')
    equal(authorize(server, 'places', {}, f'?API_KEY={key}').status, 401, 'a parameter in another case')


def a_key_in_the_query_may_be_encoded(server):
    """As RFC 3986 has it: %XX is a byte, and a plus is a plus. Keys from elsewhere may hold any character."""
    project(server, 'encoded', allowKeyInQuery={'parameter': 'api_key', 'iUnderstandKeysEndUpInLogs': True})
    own, record = server.create(headers=of('encoded'))
    keys = {'plus': 'own+key/of=12&more', 'percent': 'key%2Fwith%20its#own 100%', 'more': 'schlüssel?nr=1'}
    lines = ''.join(json.dumps({'id': name, 'key': key, 'ownerId': '1'}) + '\n' for name, key in keys.items())
    report = server.expect(200, 'POST', '/v1/import', lines.encode(),
                           headers={**of('encoded'), 'Content-Type': 'application/x-ndjson'})
    def asked(text):
        return authorize(server, 'encoded', {}, f'?api_key={text}')
    for name, key in keys.items():
        for text in (urllib.parse.quote(key, safe=''), ''.join(f'%{byte:02x}' for byte in key.encode())):
            equal(asked(text).status, 200, f'{name}: {text} {report.json}')
    equal(asked(urllib.parse.quote(keys['plus'], safe='+=')).status, 200, 'a plus stands for itself')
    equal(asked(own.replace('_', '%5F')).status, 200, 'what need not be encoded')
    equal(asked(urllib.parse.quote(keys['plus'], safe='').replace('%2B', '%20')).status, 401, 'a space is none')
    equal(asked(own + '&api_key=' + own.replace('_', '%5f')).status, 200, 'the same key twice, in two writings')
    equal(asked(own + '&api_key=' + own.replace('_', '%5e')).status, 400, 'two keys')
    for text in ('%', own + '%', own + '%2', own + '%2g', '%zz' + own, own + '%%41', '%+1'):
        answer = asked(text)
        equal((answer.status, answer.json['code']), (400, 'INVALID_REQUEST'), text)
        check('api_key' in answer.json['detail'] and '%25' in answer.json['detail'], answer.json['detail'])
        check(own not in answer.text if hasattr(answer, 'text') else True, 'the key comes back')
    equal(authorize(server, 'encoded', {'X-API-Key': own}, '?api_key=%').status, 200, 'a header goes before the query')
    equal(asked('').status, 401, 'none')


def keys_move_to_the_projects_digest(server):
    project(server, 'digested')
    old, record = server.create(headers=of('digested'))
    equal(record['digest'], 'hmac-sha256', 'what the server was told')
    changed = server.expect(200, 'PATCH', PATH + '/digested', {'digest': 'sha256-salted'}).json
    equal(changed['digest'], 'sha256-salted', 'as it is shown')
    new, made = server.create(headers=of('digested'))
    equal(made['digest'], 'sha256-salted', 'of a new key')
    def valid(key):
        return server.expect(200, 'POST', '/v1/keys/verify', {'key': key}, headers=of('digested')).json['valid']
    equal(valid(old), True, 'before it moves')
    for _ in range(3):  # each goes through the writer, which writes in between what was noted
        server.create(headers=of('digested'))
    moved = server.expect(200, 'GET', '/v1/keys/' + record['id'], headers=of('digested')).json
    equal((moved['digest'], moved['version']), ('sha256-salted', 2), 'the old one, used')
    equal((valid(old), valid(new)), (True, True), 'both')
    check('digest' not in server.expect(200, 'PATCH', PATH + '/digested', {'digest': None}).json, 'as if never given')
    elsewhere = server.expect(200, 'POST', '/v1/keys/verify', {'key': old}).json
    equal(elsewhere['code'], 'INVALID_KEY', 'in another project')


def what_is_written_lasts(server):
    project(server, 'lasting', defaultExpiresIn='5d')
    key, _ = server.create(headers=of('lasting'))
    server.stop()
    server.start()
    equal(server.expect(200, 'GET', PATH + '/lasting').json['defaultExpiresIn'], '5d', 'after a restart')
    equal(server.expect(200, 'POST', '/v1/keys/verify', {'key': key}, headers=of('lasting')).json['valid'], True, 'its key')
    server.refuse('ALREADY_EXISTS', 'POST', PATH, {'name': 'keeps'}, field='name')


def a_dry_run_checks_and_changes_nothing(server):
    for address, wish, change, bad, not_there in (
            (PATH, {'name': 'rehearsed', 'defaultExpiresIn': '9d'}, {'maxExpiresIn': '20d'}, {'digest': 'md5'}, 'PROJECT_NOT_FOUND'),
            ('/v1/templates', {'name': 'rehearsed', 'locked': ['env']}, {'locked': ['scopes']}, {'locked': ['x']}, 'TEMPLATE_NOT_FOUND')):
        dry = server.expect(200, 'POST', address + '?dryRun=true', wish)
        equal((dry.json['dryRun'], dry.json['version'], dry.header('ETag'), dry.header('Location')), (True, 1, None, None), 'a creation')
        server.refuse('INVALID_FIELD', 'POST', address + '?dryRun=true', {**wish, **bad})
        server.refuse(not_there, 'GET', address + '/rehearsed', status=404)
        made = server.expect(201, 'POST', address, wish)
        check('dryRun' not in made.json, 'dryRun in the answer to a real one')
        server.refuse('ALREADY_EXISTS', 'POST', address + '?dryRun=true', wish)
        path = address + '/rehearsed'
        dry = server.expect(200, 'PATCH', path + '?dryRun=true', change)
        equal((dry.json['dryRun'], dry.json['version'], dry.header('ETag')), (True, 2, '"1"'), 'a change')
        server.refuse('INVALID_FIELD', 'PATCH', path + '?dryRun=true', bad)
        server.refuse('VERSION_CONFLICT', 'PATCH', path + '?dryRun=true', change, headers={'If-Match': '"2"'})
        server.expect(204, 'DELETE', path + '?dryRun=true')
        equal(server.expect(200, 'GET', path).json, made.json, 'after the dry runs')
    server.create(headers=of('rehearsed'))
    server.refuse('IN_USE', 'DELETE', PATH + '/rehearsed?dryRun=true')


CASES = [built_in_projects_are_shown, a_project_is_made_and_used, what_a_project_says_is_checked,
         a_change_names_its_version, what_has_keys_stays, what_is_built_in_stays, a_life_is_bounded, presets_give_scopes,
         only_who_may_changes_projects, lists_go_on, keys_stand_where_the_project_says,
        a_key_in_the_query_may_be_encoded, keys_move_to_the_projects_digest,
         a_dry_run_checks_and_changes_nothing, what_is_written_lasts]

if __name__ == '__main__':
    sys.exit(main(CASES))
