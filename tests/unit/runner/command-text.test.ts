import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Capture } from '../../../lib/runner/capture.ts';
import { checkValues, commandText, plainWords, quote } from '../../../lib/runner/command-text.ts';

const plain: readonly [string, string[]][] = [
  ['true', ['true']],
  ['  kubectl get pods\n', ['kubectl', 'get', 'pods']],
  ['exec kubectl get pods', ['kubectl', 'get', 'pods']],
  ['exec echo a', ['echo', 'a']],
  ["sh -c 'a; b | c'", ['sh', '-c', 'a; b | c']],
  ['helm --set "a b" x=y', ['helm', '--set', 'a b', 'x=y']],
  ["node -e 'it'\\''s' \"\" ''", ['node', '-e', "it's", '', '']],
  ['a b\\ c\\$d', ['a', 'b c$d']],
  ["'/path with blank/x' ü", []],
  ["'/path with blank/x' 'ü'", ['/path with blank/x', 'ü']],
];

for (const [text, words] of plain) {
  test(`words of \`${text.trim()}\``, () => {
    assert.equal(plainWords(text), words.length === 0 ? undefined : words);
  });
}

const forShells = [
  ...[
    '',
    ' ',
    "''",
    'a | b',
    'a; b',
    'a && b',
    'a &',
    'a > f',
    'a < f',
    'a $b',
    'a "$b"',
    'a `b`',
    'a *',
    'a ?',
    'a [b]',
  ],
  ...[
    'a ~',
    'a {b,c}',
    'a #b',
    '! a',
    '(a)',
    '{ a; }',
    'a\nb',
    'a "b\\"c"',
    "a 'b",
    'a "b',
    'a\\',
    'a\tb\rc',
    'A=b c',
    'A+=b c',
  ],
  ...[
    'cd /',
    'export A',
    'if a',
    'time a',
    'echo a',
    'test -f a',
    '. a',
    '%1',
    'exec',
    'exec -a b c',
    'true --help',
    "'if'",
  ],
  ...["a 'b\0c'", 'a !b', 'a ^b^c'],
];

for (const text of forShells) {
  test(`\`${JSON.stringify(text)}\` takes a shell`, () => assert.is(plainWords(text), undefined));
}

test('whatever is quoted comes out as it went in', () => {
  const characters = [...' \t\n\'"\\$`*?[]{}()<>|&;!#~=%^,.-_/:@+aZ09üß€😀'];
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * below);
  };
  for (let round = 0; round < 2000; round += 1) {
    const words = Array.from({ length: 1 + random(4) }, () =>
      Array.from({ length: random(8) }, () => characters[random(characters.length)]).join(''),
    );
    assert.equal(plainWords(['program', ...words].map(quote).join(' ')), ['program', ...words]);
  }
});

test('values are words, lists are several, and the output of a command is what it printed', () => {
  const pieces = ['a ', ' b ', ' c ', ''];
  assert.is(
    commandText(pieces, ['x y', ['1', '2 3'], { stdout: 'out put\n' }]),
    "a 'x y' b 1 '2 3' c 'out put'",
  );
  assert.is(commandText(['a ', ''], [[]]), 'a ');
  assert.is(commandText(['a ', ''], [Promise.resolve('x')]), undefined);
});

test('a value that is missing is a mistake', () => {
  assert.throws(() => checkValues(['a ', ''], [undefined]), /expected a value after `a `, got `undefined`/);
  assert.throws(() => checkValues(['a ', ''], [['x', null]]), /got/);
});

test('of what is printed the last part is kept, from the start of a line', () => {
  const capture = new Capture();
  for (let line = 0; line < 1000; line += 1) capture.push(Buffer.from(`line ${line}\n`), 100_000);
  assert.not(capture.truncated);
  assert.is(capture.text().split('\n').length, 1001);
  for (let line = 0; line < 100_000; line += 1) capture.push(Buffer.from(`line ${line}\n`), 10_000);
  assert.ok(capture.truncated);
  assert.match(capture.text(), /^line \d+\n/);
  assert.ok(capture.text().endsWith('\nline 99999\n'));
  assert.ok(capture.text().length >= 9_900 && capture.text().length < 10_000 + 2 * 4096);
});

test('a line longer than what is kept leaves its end', () => {
  const capture = new Capture();
  capture.push(Buffer.alloc(50_000, 'x'), 1000);
  capture.push(Buffer.from('end\n'), 1000);
  assert.ok(capture.text().endsWith('xend\n') || capture.text() === 'end\n', capture.text().slice(-10));
});

test.run();
