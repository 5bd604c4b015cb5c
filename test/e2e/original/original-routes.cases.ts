/** A request to the original routes and the whole answer it has to get. */
export interface Case {
  readonly rule: string;
  /** Pairs that are stored before. */
  readonly given?: Record<string, string>;
  readonly method?: string;
  readonly path: string;
  readonly status: number;
  /** The exact text; an error is given by its members instead. */
  readonly body?: string;
  readonly error?: { readonly title: string; readonly detail: string };
  readonly allow?: string;
  /** Whether the request stores something. */
  readonly writes?: boolean;
}

const SET_FORMAT = 'Query must be in the format `/set?somekey=somevalue`.';
const SET_MISSING = 'Please provide a query listing the key (eg. `/set?somekey=somevalue`).';
const GET_FORMAT = 'Query must be in the format `/get?key=somekey`.';
const GET_MISSING = 'Please provide a query listing the key (eg. `/get?key=somekey`).';
const AMPERSAND = `${SET_FORMAT} An \`&\` in the key or the value is written \`%26\`.`;
const NOT_FOUND = { title: 'Resource not found', detail: "This URL doesn't exist!" };

const BAD_ESCAPES = [
  '%',
  '%4',
  '%zz',
  'a%',
  '%FF',
  '%FE',
  '%C3%28',
  '%ED%A0%80',
  '%C0%80',
  '%F4%90%80%80',
  '%E2%82',
];

function queryError(detail: string) {
  return { status: 400, error: { title: 'Query Error', detail } };
}

/** A pair stored by `query` under another spelling than the plain one. */
function stored(rule: string, query: string, key: string, value: string): Case {
  const body = `{${JSON.stringify(key)}:${JSON.stringify(value)}}`;
  return { rule, path: `/set?${query}`, status: 201, body, writes: true };
}

export const SET_CASES: Case[] = [
  stored('a new key is 201', 'somekey=somevalue', 'somekey', 'somevalue'),
  {
    rule: 'an existing key is 200',
    given: { again: 'old' },
    path: '/set?again=new',
    status: 200,
    body: '{"again":"new"}',
    writes: true,
  },
  {
    rule: 'the same value again is 200',
    given: { same: 'v' },
    path: '/set?same=v',
    status: 200,
    body: '{"same":"v"}',
    writes: true,
  },
  stored('the pair splits at the first =', 'eq=a=b', 'eq', 'a=b'),
  stored('a value may be empty', 'empty=', 'empty', ''),
  stored('= alone may be a value', 'equals==', 'equals', '='),
  stored('an escaped = belongs to the key', 'a%3Db=c', 'a=b', 'c'),
  stored('an escaped & is a character', 'a%26b=c%26d', 'a&b', 'c&d'),
  stored('+ is a space on both sides', 'a+b=c+d', 'a b', 'c d'),
  stored('%20 is a space on both sides', 'e%20f=g%20h', 'e f', 'g h'),
  stored('%2B is a plus on both sides', 'a%2Bb=c%2bd', 'a+b', 'c+d'),
  stored('%25 is a percent sign, decoded once', 'a%2541=b%2541', 'a%41', 'b%41'),
  stored('escapes are UTF-8', 'caf%C3%A9=%F0%9F%90%A6', 'café', '🐦'),
  stored('another ? is a character', 'q?=w?', 'q?', 'w?'),
  stored('ttl is a key like any other', 'ttl=60', 'ttl', '60'),
  stored('key is a key like any other', 'key=somekey', 'key', 'somekey'),
  stored('a number is text', '12=34', '12', '34'),
  stored('brackets are characters', 'a[b]=1', 'a[b]', '1'),
  stored('empty brackets are characters', 'a[]=1', 'a[]', '1'),
  stored('a dotted path is text', '../../etc/passwd=x', '../../etc/passwd', 'x'),
  stored('a slash is a character', '/=//', '/', '//'),
  stored('. is a key', '.=1', '.', '1'),
  stored('.. is a key', '..=1', '..', '1'),
  stored('NUL is a character', 'a%00b=c%00d', 'a\0b', 'c\0d'),
  stored('NUL alone is a key', '%00=%00', '\0', '\0'),
  stored('control characters are characters', '%01%1F%7F=%0D%0A', '\x01\x1f\x7f', '\r\n'),
  stored('quotes and backslashes are escaped in JSON', '%22%5C=%22%5C', '"\\', '"\\'),
  stored('markup is text', '%3Cscript%3E=%3C/script%3E', '<script>', '</script>'),
  stored('a Redis command is text', 'a%0D%0ASET%20x%20y=v', 'a\r\nSET x y', 'v'),
  stored('a byte order mark is a character', '%EF%BB%BFk=%EF%BB%BF', '\ufeffk', '\ufeff'),
  stored('a no-break space is a character', `%C2%A0=%C2%A0`, '\u00a0', '\u00a0'),
  stored('text is not normalized', 'e%CC%81=%C3%A9', 'e\u0301', 'é'),
  stored('a noncharacter is a character', '%EF%BF%BF=%EF%BF%BE', '\uffff', '\ufffe'),
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'null', 'true'].map((key) =>
    stored(`${key} is an ordinary key`, `${key}=1`, key, '1'),
  ),
];

export const SET_ERRORS: Case[] = [
  ...['/set', '/set?'].map((path) => ({
    rule: 'no query',
    path,
    status: 400,
    error: { title: 'Missing Query', detail: SET_MISSING },
  })),
  ...['a', '=v', '=', 'somekey'].map((query) => ({
    rule: 'no pair',
    path: `/set?${query}`,
    ...queryError(SET_FORMAT),
  })),
  ...['a=1&b=2', 'a=1&a=2', 'a=1&', '&a=1', '&', 'a&b', 'a=1&&', 'a=b&c', 'k=v&ttl=60'].map((query) => ({
    rule: 'more than a pair, with the hint to write %26',
    path: `/set?${query}`,
    ...queryError(AMPERSAND),
  })),
  ...BAD_ESCAPES.flatMap((escape) => [`${escape}=v`, `k=${escape}`]).map((query) => ({
    rule: 'malformed escapes are never a silently changed pair',
    path: `/set?${query}`,
    ...queryError(`${SET_FORMAT} Escapes are \`%\` and two hex digits, of UTF-8 text.`),
  })),
];

const ABSENT = (key: string) => ({
  status: 400,
  error: { title: 'Key Error', detail: `The key \`${key}\` is not in the database` },
});

export const GET_CASES: Case[] = [
  { rule: 'a stored key', given: { got: 'it' }, path: '/get?key=got', status: 200, body: '{"got":"it"}' },
  {
    rule: 'an empty value',
    given: { nothing: '' },
    path: '/get?key=nothing',
    status: 200,
    body: '{"nothing":""}',
  },
  { rule: '= in the key', given: { 'x=y': '1' }, path: '/get?key=x=y', status: 200, body: '{"x=y":"1"}' },
  { rule: 'an escaped &', given: { 'x&y': '1' }, path: '/get?key=x%26y', status: 200, body: '{"x&y":"1"}' },
  { rule: '+ is a space', given: { 'x y': '1' }, path: '/get?key=x+y', status: 200, body: '{"x y":"1"}' },
  { rule: '%2B is a plus', given: { 'x+y': '1' }, path: '/get?key=x%2By', status: 200, body: '{"x+y":"1"}' },
  { rule: 'the key `key`', given: { key: 'v' }, path: '/get?key=key', status: 200, body: '{"key":"v"}' },
  { rule: 'both sides are decoded', given: { x: '1' }, path: '/get?k%65y=x', status: 200, body: '{"x":"1"}' },
  {
    rule: 'HEAD answers headers only',
    given: { headed: '1' },
    method: 'HEAD',
    path: '/get?key=headed',
    status: 200,
    body: '',
  },
];

export const GET_ERRORS: Case[] = [
  { rule: 'an absent key', path: '/get?key=absent', ...ABSENT('absent') },
  { rule: 'an absent key that every object has', path: '/get?key=valueOf', ...ABSENT('valueOf') },
  { rule: 'an absent key with markup', path: '/get?key=%3Cimg%3E', ...ABSENT('<img>') },
  { rule: 'an absent key as it was meant', path: '/get?key=a+%C3%A9%26', ...ABSENT('a é&') },
  ...['/get', '/get?'].map((path) => ({
    rule: 'no query',
    path,
    status: 400,
    error: { title: 'Missing Query', detail: GET_MISSING },
  })),
  ...[
    'foo=bar',
    'key=',
    'key',
    '=',
    '=key',
    'key=a&key=b',
    'key=a&x=1',
    'x=1&key=a',
    'key=a&',
    '&key=a',
    '&',
    'key[]=a',
    'key[a]=b',
    'KEY=a',
    'key%3Da',
    ' key=a'.replace(' ', '%20'),
    '+key=a',
    'key.a=b',
  ].map((query) => ({ rule: 'not one key', path: `/get?${query}`, ...queryError(GET_FORMAT) })),
  ...BAD_ESCAPES.map((escape) => ({
    rule: 'malformed escapes are never a silently changed key',
    path: `/get?key=${escape}`,
    ...queryError(`${GET_FORMAT} Escapes are \`%\` and two hex digits, of UTF-8 text.`),
  })),
];

const OTHER_METHODS = [
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'TRACE',
  'PROPFIND',
  'SEARCH',
  'PURGE',
  'LOCK',
  'QUERY',
];

export const METHOD_CASES: Case[] = [
  ...['/', '/get?key=m', '/get', '/set?m=1', '/set'].flatMap((path) =>
    OTHER_METHODS.filter((method) => method !== 'QUERY').map((method) => refused(method, path)),
  ),
  refused('HEAD', '/set?m=1'),
  refused('HEAD', '/set'),
  ...['/', '/get?key=m', '/set?m=1', '/set'].map((path) => ({
    rule: `OPTIONS ${path}`,
    method: 'OPTIONS',
    path,
    status: 204,
    body: '',
    allow: allowOf(path),
  })),
  { rule: 'HEAD /', method: 'HEAD', path: '/', status: 200, body: '' },
];

function allowOf(path: string): string {
  return path.startsWith('/set') ? 'GET, OPTIONS' : 'GET, HEAD, OPTIONS';
}

function refused(method: string, path: string): Case {
  const allow = allowOf(path);
  const detail = `This path answers ${allow}, not ${method}. Nothing was changed.`;
  return {
    rule: `${method} ${path}`,
    method,
    path,
    status: 405,
    allow,
    ...(method === 'HEAD' ? { body: '' } : { error: { title: 'Method Not Allowed', detail } }),
  };
}

export const OTHER_PATHS: Case[] = [
  ...[
    '/nothing',
    '/get/',
    '/set/',
    '/set/?a=1',
    '/Get?key=a',
    '/SET?a=1',
    '//',
    '//set?a=1',
    '/./set?a=1',
    '/x/../set?a=1',
    '/%73et?a=1',
    '/set%3Fa=1',
    '/set%20?a=1',
    '/set;x?a=1',
    '/setx?a=1',
    '/%2e',
    '/..',
    '/%',
    '/%zz',
    '/%FF',
    '/%00',
    '/<script>',
    '/*',
    '/:key',
    '/index.html',
    '/favicon.png',
    '/.env',
    '/batch/',
    '/backup/',
  ].map((path) => ({ rule: `GET ${path}`, path, status: 404, error: NOT_FOUND })),
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'].map((method) => ({
    rule: `${method} /nothing`,
    method,
    path: '/nothing',
    status: 404,
    error: NOT_FOUND,
  })),
  { rule: 'HEAD /nothing', method: 'HEAD', path: '/nothing', status: 404, body: '' },
];
