import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lineSplitter } from '../../child-output.ts';
import { Redactor } from '../../redact.ts';
import { quote } from '../../shell.ts';
import { graphOf, plain, text } from '../rig/graphs.ts';
import { runInProcess } from '../rig/in-process-run.ts';
import { randomOf } from '../rig/random-graph.ts';

const secret = 'p?ss>word~1';

function redactorOf(...secrets: string[]): Redactor {
  const redactor = new Redactor();
  for (const value of secrets) redactor.add(value);
  return redactor;
}

for (const [name, secrets, text, shown] of [
  ['the value wherever it stands', [secret], `a ${secret}${secret} b`, 'a ****** b'],
  ['a short secret in plain text, but not in base64', ['abc'], 'abc YWJj', '*** YWJj'],
  ['every line of several', ['---BEGIN---\nabcdefgh\nijklmnop\n'], 'abcdefgh, ijklmnop', '***, ***'],
  ['nothing for an empty secret', ['', ' ', '\n'], 'a b\n', 'a b\n'],
  ['of two secrets the longer one whole', ['pass', 'password'], 'password pass', '*** ***'],
] as const)
  test(`hides ${name}`, () => assert.is(redactorOf(...secrets).redact(text), shown));

const hexadecimal = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

const writings: { readonly [name: string]: (value: string) => string } = {
  'as it is': (value) => value,
  JSON: (value) => JSON.stringify(value),
  'JSON in JSON': (value) => JSON.stringify(JSON.stringify(value)),
  'JSON for HTML': (value) =>
    JSON.stringify(value).replace(/[<>&]/g, (found) => `\\u00${found.charCodeAt(0).toString(16)}`),
  'JSON in ASCII': (value) =>
    JSON.stringify(value).replace(/[^ -~]/g, (found) => `\\u${hexadecimal(found.charCodeAt(0), 4)}`),
  'a URL': encodeURIComponent,
  'a strict URL in small letters': (value) =>
    Buffer.from(value)
      .toString('latin1')
      .replace(/[^A-Za-z0-9]/g, (byte) => `%${hexadecimal(byte.charCodeAt(0), 2)}`),
  'a form': (value) => new URLSearchParams({ value }).toString().slice('value='.length),
  'a shell': quote,
  'a double quoted shell word': (value) => `"${value.replace(/["\\$`]/g, '\\$&')}"`,
  'an escaped shell word': (value) => value.replace(/[^\w\n]/gu, '\\$&'),
  YAML: (value) => `'${value.replaceAll("'", "''")}'`,
  XML: (value) =>
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  base64: (value) => Buffer.from(value).toString('base64'),
  'base64 later in a text': (value) => Buffer.from(`x${value}yz`).toString('base64'),
  'base64 in a URL': (value) => encodeURIComponent(Buffer.from(value).toString('base64')),
};

for (const [name, write] of Object.entries(writings)) {
  test(`hides any secret in ${name}, however the output is cut`, () => {
    const numbers = randomOf(name.length);
    const random = (below: number): number => Math.floor(numbers() * below);
    const characters = [...'abcXYZ0189 !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~üß€😀'];
    for (let round = 0; round < 40; round += 1) {
      const length = 8 + random(24);
      const middle = Array.from({ length }, () => characters[random(characters.length)]).join('');
      // Blanks at its ends would be hidden apart from it.
      const value = `s${middle}t`;
      const redactor = redactorOf(value);
      const bytes = Buffer.from(`before <${write(value)}> after\nnext line\n`);
      const chunks: Buffer[] = [];
      for (let place = 0; place < bytes.length; ) {
        const end = place + 1 + random(20);
        chunks.push(bytes.subarray(place, end));
        place = end;
      }
      const [line = '', next] = split(chunks, redactor);
      assert.is(next, 'next line');
      // What stays of base64 are the characters that belong to its neighbours too, and the padding.
      const rest = name.includes('base64') ? 12 : 6;
      assert.match(line, /^before <.*\*\*\*.*> after$/, `${value} in ${write(value)}`);
      assert.ok(line.length <= 'before <***> after'.length + rest, `${value} in ${write(value)}: ${line}`);
    }
  });
}

test('many backslashes are no riddle', () => {
  const value = `${'\\'.repeat(20)}"x`;
  const redactor = redactorOf(value);
  // Tried in all possible ways this would never end.
  const line = '\\'.repeat(1000);
  assert.is(redactor.redact(line), line);
  assert.is(redactor.redact(JSON.stringify(value)), '"***"');
});

test('hides a secret of several lines in one', () => {
  const value = 'first line of it\nsecond "line"\n';
  for (const name of ['JSON', 'a URL', 'base64'])
    assert.match(redactorOf(value).redact(`<${writings[name]?.(value)}>`), /^<"?(\*\*\*|\\n|%0A)+"?>$/);
});

test('of base64 only characters without a bit of the secret are shown', () => {
  for (const value of ['long-secret', 'long-secret?', 'long-secret>~']) {
    const redactor = redactorOf(value);
    for (const before of ['', ':', 'x:', 'ab?'])
      for (const after of ['', ':', ':x', '>?~'])
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(before + value + after).toString(encoding);
          const from = Math.floor((before.length * 8) / 6);
          const to = Math.ceil(((before + value).length * 8) / 6);
          const shown = `${encoded.slice(0, from)}***${encoded.slice(to)}`.replace(/=+$/, '');
          assert.is(redactor.redact(encoded).replace(/=+$/, ''), shown);
          assert.is(redactor.redact(`<${encoded}>`).replace(/=*>$/, ''), `<${shown}`);
        }
  }
});

test('a few characters that base64 of a short secret may have are shown', () => {
  assert.is(redactorOf('kaza').redact('the them'), 'the them');
});

test('base64 that is broken into lines is hidden line by line, wherever the secret stands in it', () => {
  const long = 'kq7Zt0vY1nBf/3sLw+9xRjE5uHcMdAo2pGiTb8VXyCzKmQ4W6rUeNJhPSaDlOIg0FEtyuvw';
  for (const value of [long, 'correct-horse-battery']) {
    const redactor = redactorOf(value);
    const inside = [0, 1, 2].map((offset) => {
      const encoded = Buffer.from('x'.repeat(offset) + value).toString('base64');
      return encoded.slice(Math.ceil((offset * 8) / 6));
    });
    for (const width of [19, 76]) {
      for (let before = 0; before < 24; before += 1) {
        const text = `${'#!'.repeat(12).slice(0, before)}${value}, and what follows`;
        for (const encoding of ['base64', 'base64url'] as const) {
          const lines = new RegExp(`.{1,${width}}`, 'g');
          const broken = Buffer.from(text).toString(encoding).match(lines) ?? [];
          const shown = broken.map((line) => redactor.redact(`  ${line}`));
          assert.is(redactor.redact(broken.join('\n')), shown.map((line) => line.trim()).join('\n'));
          const rest = shown.join(' ').replaceAll('-', '+').replaceAll('_', '/').replaceAll('***', ' ');
          for (let place = 0; place + 4 <= rest.length; place += 1) {
            const piece = rest.slice(place, place + 4);
            const leaks = inside.some((form) => form.slice(0, -2).includes(piece));
            assert.not(leaks, `${piece} after ${before} in lines of ${width}: ${shown.join('|')}`);
          }
        }
      }
    }
  }
});

test('lines that only look like base64 stay as they are', () => {
  const redactor = redactorOf(secret);
  for (const line of ['done', '  building', 'a/path/of/words', 'YWJjZGVmZ2hpamtsbW5vcA==', 'x'.repeat(200)])
    assert.is(redactor.redact(line), line);
  const long = Buffer.from('x'.repeat(9 << 20)).toString('base64');
  assert.is(redactor.redact(long), long);
});

test('hides texts at any depth of a value, and leaves the rest alone', () => {
  const value = { a: [secret, 1, { b: `x${secret}` }], c: undefined, d: null, e: true };
  assert.equal(redactorOf(secret).redactAll(value), { ...value, a: ['***', 1, { b: 'x***' }] });
});

test('a secret that is a word of the runner hides no event', async () => {
  const login = plain('task-done', {
    args: { password: text },
    run: ({ secret, print, log }) => {
      // What comes from a file or a command may be no text.
      for (const word of [undefined, null, 1234]) secret(word as never);
      for (const word of ['task', 'done', 'output', 'log', 'changed', 'a', 'hunter2']) secret(word);
      log('a task is done 1234 null');
      print('done');
    },
  });
  const { events, exitCode } = runInProcess(await graphOf(login, { password: 'hunter2' }), 1, 'continue');
  assert.is(await exitCode, 0);
  const shown = events.map((event) => ('line' in event ? `${event.type} ${event.line}` : event.type));
  const line = 'task-output *** *** is *** *** null';
  assert.equal(shown, ['run-started', 'task-started', line, 'task-result', 'task-done', 'run-ended']);
  const [, , output, , done, ended] = events;
  for (const event of [output, done])
    assert.is(event && 'id' in event && event.id, 'task-done [["p***ssword","***"]]');
  assert.match(JSON.stringify(output), '"stream":"log"');
  assert.match(JSON.stringify(ended), '"outcome":"done"');
});

function split(
  chunks: readonly (string | Buffer)[],
  redactor = redactorOf(secret),
  longest?: number,
): string[] {
  const lines: string[] = [];
  const push = lineSplitter(redactor, (line) => lines.push(redactor.redact(line)), longest);
  for (const chunk of chunks) push(chunk);
  // As a command's end does.
  if (!chunks.map(String).join('').endsWith('\n')) push('\n');
  return lines;
}

test('lines end at any kind of line break, and the last one may lack it', () => {
  assert.equal(split(['a\nb\r', '\nc\rd\n\ne']), ['a', 'b', 'c', 'd', '', 'e']);
  assert.equal(split(['a\r', 'b\r', Buffer.from([0xc3]), '\n\n']), ['a', 'b', '\uFFFD', '']);
  assert.equal(split(['a\r']), ['a']);
  assert.equal(split(['a\u001B[2Jb\u001B]0;title\u0007']), ['ab'], 'nothing that acts on a terminal');
  assert.equal(split([Buffer.from([0x67, 0x72, 0xc3, 0xbc, 0x00, 0xff, 0xe2, 0x82])]), ['grü\uFFFD\uFFFD']);
});

test('a carriage return ends a line at once, so that a progress bar is seen when it moves', () => {
  const lines: string[] = [];
  lineSplitter(redactorOf(), (line) => lines.push(line))('50 %\r');
  assert.equal(lines, ['50 %']);
});

test('a line beyond that is shown in pieces, and neither a secret nor a character is broken at their borders', () => {
  const redactor = redactorOf(secret);
  const longest = 4 * redactor.longest;
  for (let length = 0; length < 2 * longest; length += 1) {
    const chunks = ['x'.repeat(length), secret.slice(0, 4), secret.slice(4), 'y'.repeat(longest)];
    const lines = split(chunks, redactor, longest);
    assert.ok(lines.length > 1);
    assert.is(lines.join(''), `${'x'.repeat(length)}***${'y'.repeat(longest)}`);
    const characters = 'x'.repeat(length % 2) + '😀'.repeat(longest);
    const pieces = split([characters], redactor, longest).map((line) => Buffer.from(line).toString());
    assert.is(pieces.join(''), characters);
  }
});

const entries = Array.from({ length: 400 }, (_, key) => ({ key, text: `it's "${key * 7919}"` }));
for (const [name, value] of Object.entries({
  'a line of JSON': JSON.stringify(entries),
  'quotes and braces': `{"'}`.repeat(2000),
  'one letter': 'k'.repeat(50_000),
  quotes: `'`.repeat(3000),
  backslashes: '\\'.repeat(3000),
  emoji: '🙂'.repeat(1500),
})) {
  test(`hides a very long secret whole: ${name}`, () => {
    const redactor = redactorOf(value);
    for (const form of ['as it is', 'JSON', 'a URL', 'a shell', 'base64 later in a text']) {
      const shown = redactor.redact(`<${writings[form]?.(value)}>`);
      // Of base64 some characters at the borders stay.
      assert.ok(shown.length <= 14, `${form}: ${shown.length}`);
    }
    assert.is(redactor.redact('harmless "text"'), 'harmless "text"');
  });
}

test.run();
