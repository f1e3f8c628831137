import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { readStrictYaml } from '../../../lib/ground/strict-yaml.ts';
import { failureOf } from '../../rig/task-context.ts';

const contentOf = async (text: string) => (await readStrictYaml(text, 'f.yaml')).value;
const refusal = async (text: string) => {
  const { what, why = '', advice } = await failureOf(readStrictYaml(text, 'f.yaml'));
  assert.not.match(why, /:$/);
  assert.is(why.includes('do not agree'), !/not (?:UTF-8|valid YAML)/.test(what), what);
  return `${what} (${advice})`;
};

for (const [reading, ...scalars] of [
  ['the number 1.1', '1.10'],
  ['the number 1', '1.0', '+1'],
  ['the number 123456', '0123456'],
  ['the number 15', '0o17'],
  ['the number 31', '0x1F'],
  ['the number 1000', '1e3'],
  ['the number 1e+21', '1e21'],
  ['the number 12345678901234567000', '12345678901234567890'],
  ['the number 0.1', '0.10'],
  ['the number 0.5', '.5'],
  ['the number 0', '-0'],
  ['the number Infinity', '.inf'],
  ['the number NaN', '.nan'],
  ['the boolean true', 'True'],
  ['a number for some readers', '1_000', '0b11', '-0b1', '12:30:45'],
  ['a date for some readers', '2001-12-14', '2001-12-14 21:59:43', '2001-12-14T21:59:43Z'],
  ['the boolean true for some readers', 'yes'],
  ['the boolean false for some readers', 'NO', 'n', 'off'],
] as const)
  test(`${reading} in another form is refused, with its line and the way to write the text`, async () => {
    for (const scalar of scalars) {
      for (const text of [`a: 1\nb: ${scalar}\n`, `a:\n  [x, ${scalar}]\n`, `a: 1\nb: &x ${scalar}\n`]) {
        const refused = await refusal(text);
        assert.ok(refused.startsWith(`f.yaml:2: \`${scalar}\` is ${reading}`), refused);
        assert.match(refused, `write "${scalar}" for the text`);
      }
      for (const quotes of ['"', "'"])
        assert.equal(await contentOf(`a: ${quotes}${scalar}${quotes}\n`), { a: scalar });
    }
  });

test('unambiguous values are accepted: numbers, booleans, null, and text that only resembles them', async () => {
  const text =
    'a: 0\nb: -17\nc: 0.25\nd: true\ne: ~\nf:\ng: v1.10\nh: 1.2.3\ni: 10.0.0.0/8\nj: 1Gi\nk: 100m\nl: fd00::/8\n';
  assert.equal(await contentOf(text), {
    ...{ a: 0, b: -17, c: 0.25, d: true, e: null, f: null },
    ...{ g: 'v1.10', h: '1.2.3', i: '10.0.0.0/8', j: '1Gi', k: '100m', l: 'fd00::/8' },
  });
  assert.is(await contentOf(''), null);
});

test('merge keys are resolved as helmfile does: what stands beside them wins, and the first of a list', async () => {
  const text = 'v: &x { b: 1, c: 2 }\nw: &y { b: 5, z: 4 }\nd: { <<: [*x, *y], c: 3 }\ne: { c: 3, <<: *x }\n';
  const { d, e } = (await contentOf(text)) as { d: unknown; e: unknown };
  assert.equal(d, { b: 1, c: 3, z: 4 });
  assert.equal(e, { b: 1, c: 3 });
});

test('files from Windows and from editors with a byte order mark read as any other', async () => {
  assert.equal(await contentOf('\ufeffa: |\r\n  x\r\n  y\r\nb: 1\r\n'), { a: 'x\ny\n', b: 1 });
});

const bomb = [1, 2, 3].map((n) => `a${n}: &a${n} [${`*a${n - 1},`.repeat(9)}]\n`).join('');
const tab = 'f.yaml:1: a text of several lines that begins with a tab';

test('keys that are no text, tags, directives and characters that readers take differently are refused', async () => {
  for (const [text, problem] of [
    ['a: { 1: x }', 'f.yaml:1: the key `1`'],
    ['\ntrue: x', 'f.yaml:2: the key `true`'],
    ['~: x', 'f.yaml:1: the key `~`'],
    ['2001-12-14: x', 'f.yaml:1: the key `2001-12-14`'],
    ['a:\n  010: x', 'f.yaml:2: the key `010`'],
    ['on: x', 'f.yaml:1: the key `on`'],
    ['[a]: x', 'f.yaml:1: a key that is no text'],
    ['a: { "<<": x }', 'the key `<<`'],
    // A template without quotes.
    ['a: {{ .Values.x }}', 'f.yaml:1: a key that is no text'],
    ['a: !!str 1.10', 'the tag `tag:yaml.org,2002:str`'],
    ['a: ! 12', 'the tag `!`'],
    ['a: !!set [x]', 'the tag `tag:yaml.org,2002:set`'],
    ['%YAML 1.1\n---\na: yes', 'f.yaml:1: a directive'],
    ['a: 1\n---\nb: 1', 'f.yaml:2: a second document begins'],
    ['a: 1\rb: 2', 'the character U+000D'],
    ['a: x\u0001y', 'the character U+0001'],
    // A line end of YAML 1.1.
    ['a: x\u2028y', 'the character U+2028'],
    [Buffer.from('a: 1', 'utf16le').toString(), 'the character U+0000'],
    // Latin 1.
    [Buffer.from([0x61, 0x3a, 0x20, 0xe9]).toString(), 'f.yaml:1: not UTF-8'],
    ['a: 1\n \t\nb: 2', 'f.yaml:2: an empty line with a tab'],
    ['a: |\n  \tx', tab],
    ['a: "\\n\\tx"', tab],
    ['a: "x\\/y"', 'an escape that not every reader knows'],
    ['a: "\\uD83D\\uDE00"', 'an escape that not every reader knows'],
    ['a: [x?y]', '`x?y` within brackets'],
    ['a: [::1/128]', '`::1/128` within brackets'],
    ['a: [x:]', '`x:` within brackets'],
    ['a: &x.y 1', 'the anchor `x.y`'],
    ['a: 1\na: 2', 'f.yaml:2 is not valid YAML'],
    ['a: *x', 'f.yaml:1 is not valid YAML'],
    ['a: &x [*x]', 'f.yaml:1 is not valid YAML'],
    [`a0: &a0 [x]\n${bomb}`, 'not valid YAML'],
  ] as const) {
    const refused = await refusal(text);
    assert.ok(refused.includes(problem), `${text}: ${refused}`);
  }
});

test('the same in quotes or a text block is accepted', async () => {
  const text = 'a: "[x?y] \\\\/ %"\nb: |\n  x\n  \t\n  %YAML\nc: ["::1"]\n';
  assert.equal(await contentOf(text), { a: '[x?y] \\/ %', b: 'x\n\t\n%YAML\n', c: ['::1'] });
});

test('every YAML file of the project has one reading', async () => {
  const folders = ['', 'charts/*/', 'environments/**/', 'lib/tools/', 'sops/', 'vault/'];
  const globs = folders.map((folder) => `:(glob)${folder}*.yaml`);
  const listed = execFileSync('git', ['ls-files', ...globs], { cwd: root, encoding: 'utf8' });
  const files = listed.trim().split('\n');
  assert.ok(files.length > 25);
  for (const file of files) await readStrictYaml(readFileSync(join(root, file), 'utf8'), file);
});

test.run();
