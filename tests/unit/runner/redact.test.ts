import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LineSplitter } from '../../../lib/runner/line-splitter.ts';
import { Redactor } from '../../../lib/runner/redact.ts';

const secret = 'p?ss>word~1';

function redactorOf(...secrets: string[]): Redactor {
  const redactor = new Redactor();
  for (const value of secrets) redactor.add(value);
  return redactor;
}

test('hides the value wherever it stands', () => {
  assert.is(redactorOf(secret).redact(`a ${secret}${secret} b`), 'a ****** b');
});

for (const offset of [0, 1, 2, 3]) {
  for (const tail of ['', 'x', 'xy', 'xyz']) {
    test(`hides the base64 form after ${offset} bytes and before ${tail.length}`, () => {
      const encoded = Buffer.from('y'.repeat(offset) + secret + tail).toString('base64');
      const redacted = redactorOf(secret).redact(encoded);
      assert.match(redacted, '***');
      // At most two characters at each border may stay: they belong to the neighbours too.
      assert.ok(
        redacted.replace(/=+$/, '').length <=
          3 + Math.ceil((offset * 4) / 3) + Math.ceil((tail.length * 4) / 3) + 2,
      );
      const url = Buffer.from('y'.repeat(offset) + secret + tail).toString('base64url');
      assert.match(redactorOf(secret).redact(url), '***');
    });
  }
}

test('hides JSON and URL forms', () => {
  const value = 'a"b\\c d/e';
  const redactor = redactorOf(value);
  assert.is(redactor.redact(JSON.stringify({ value })), '{"value":"***"}');
  assert.is(redactor.redact(`postgres://user:${encodeURIComponent(value)}@host`), 'postgres://user:***@host');
});

test('hides every line of a secret of several lines', () => {
  const redactor = redactorOf('-----BEGIN-----\nabcdefgh\nijklmnop\n-----END-----\n');
  assert.is(redactor.redact('abcdefgh'), '***');
  assert.is(redactor.redact('ijklmnop'), '***');
});

test('an empty secret hides nothing', () => {
  assert.is(redactorOf('', ' ', '\n').redact('a b\n'), 'a b\n');
});

test('of two secrets the longer one is hidden whole', () => {
  assert.is(redactorOf('pass', 'password').redact('password pass'), '*** ***');
});

test('hides texts at any depth of a value, and leaves the rest alone', () => {
  const value = { a: [secret, 1, { b: `x${secret}` }], c: undefined, d: null, e: true };
  assert.equal(redactorOf(secret).redactAll(value), {
    a: ['***', 1, { b: 'x***' }],
    c: undefined,
    d: null,
    e: true,
  });
});

function split(chunks: readonly (string | Buffer)[], redactor = redactorOf(secret)): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(redactor, (line) => lines.push(redactor.redact(line)));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

test('a secret that is cut anywhere is hidden', () => {
  const text = `before ${secret} after\n`;
  for (let place = 0; place <= text.length; place += 1) {
    assert.equal(split([text.slice(0, place), text.slice(place)]), ['before *** after'], `cut at ${place}`);
  }
});

test('a character that is cut is put together', () => {
  const bytes = Buffer.from('grün\n');
  for (let place = 0; place <= bytes.length; place += 1) {
    assert.equal(split([bytes.subarray(0, place), bytes.subarray(place)]), ['grün']);
  }
});

test('lines end at any kind of line break, and the last one may lack it', () => {
  assert.equal(split(['a\nb\r', '\nc\rd\n\ne']), ['a', 'b', 'c', 'd', '', 'e']);
});

test('a line without end is shown in pieces, and no secret escapes at their borders', () => {
  for (const length of [65_530, 65_536, 65_540, 131_072]) {
    const lines = split(['x'.repeat(length), secret.slice(0, 4), secret.slice(4), 'y'.repeat(70_000)]);
    assert.ok(lines.length > 1);
    const all = lines.join('');
    assert.is(all.replaceAll('x', '').replaceAll('y', ''), '***', String(length));
    assert.is(all.length, length + 3 + 70_000);
  }
});

test.run();
