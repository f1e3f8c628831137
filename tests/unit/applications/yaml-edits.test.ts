import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addEntries, removeEntries } from '../../../lib/applications/yaml-edits.ts';
import { failureOf } from '../../rig/task-context.ts';

const text = `# a file
list:   # of two
  - { name: one }   # first

  # about the second
  - name: two
    text: |
      some

      lines
    # the end of two

# about the map
map: &map
  # about all
  one: [ 1,2 ]

  # not about two

  # about two
  two:
    deep: {a: b}
      # a comment in two
  three: *map
last: {}
`;

const without = (...names: string[]): string =>
  removeEntries(text, ['map'], (key) => names.includes(key ?? ''));

test('entries follow the last one and its comments, indented like it; every other byte stays', () => {
  const before = text.indexOf('\n# about the map');
  assert.is(
    addEntries(text, ['list'], '- name: x\n  y: 1\n\n- name: z\n'),
    `${text.slice(0, before)}\n  - name: x\n    y: 1\n\n  - name: z\n${text.slice(before)}`,
  );
  const inTwo = text.replace('# a comment in two\n', '# a comment in two\n    new: 1\n');
  assert.is(addEntries(text, ['map', 'two'], 'new: 1\n'), inTwo);
  assert.is(addEntries(text, ['last'], 'new: 1\n'), text.replace('last: {}\n', 'last:\n  new: 1\n'));
  assert.is(addEntries('a:\n  b: 1', ['a'], 'c: 2\n'), 'a:\n  b: 1\n  c: 2\n');
  assert.is(addEntries('a: # note\nb: 1\n', ['a'], 'c: 2\n'), 'a: # note\n  c: 2\nb: 1\n');
  assert.is(addEntries('a:\n    b: {}\n', ['a', 'b'], 'c: 2\n'), 'a:\n    b:\n      c: 2\n');
});

test('an entry goes with the comment directly above it, and with the comments in it', () => {
  assert.is(without('two'), text.replace(/\n {2}# about two\n {2}two:\n.*\n.*in two\n/, ''), 'in the middle');
  assert.is(without('one'), text.replace('  one: [ 1,2 ]\n\n', ''), 'the first');
  const others = text.replace(/ {2}one:[\s\S]*(?=\n {2}# not)/, '');
  assert.is(without('one', 'two'), others.replace(/\n {2}# about two[\s\S]*in two\n/, ''), 'both');
  assert.is(without('three'), text.replace('  three: *map\n', ''), 'the last');
  const second = removeEntries(text, ['list'], (_, value) => (value as { name: string }).name === 'two');
  assert.is(second, text.replace(/\n {2}# about the second\n[\s\S]*# the end of two\n/, ''));
});

test('without entries, a map or list is empty, and nothing of it has to be there', () => {
  const emptied = (path: readonly string[]) => removeEntries(text, path, () => true);
  assert.match(without('one', 'two', 'three'), /\nmap: \{\} &map|\nmap: \{\}/);
  assert.match(emptied(['list']), /\nlist: \[\] {3}# of two\n\n# about the map\n/);
  for (const path of [['last'], ['none'], ['none', 'below'], ['map', 'one', 'x']])
    assert.is(emptied(path), text);
});

test('what was added can be removed without a trace', () => {
  const list = '- name: x\n  y: 1\n\n- name: z\n';
  const isNew = (_: unknown, value: unknown) => ['x', 'z'].includes((value as { name: string }).name);
  assert.is(removeEntries(addEntries(text, ['list'], list), ['list'], isNew), text);
  for (const path of [['map'], ['map', 'two'], ['last']]) {
    const added = addEntries(text, path, 'new: 1\n');
    assert.is(
      removeEntries(added, path, (key) => key === 'new'),
      text,
      path.join('.'),
    );
  }
});

test('entries that would not get to their path, or into brackets, are refused', async () => {
  const refusal = (...words: Parameters<typeof addEntries>) =>
    failureOf((async () => addEntries(...words))());
  const { what } = await refusal('a:\n  b: |\n', ['a', 'b'], 'c: 2\n');
  assert.is(what, 'nothing can be added to `a.b`');
  const brackets = await refusal(text, ['map', 'two', 'deep'], 'c: d\n');
  assert.is(brackets.what, '`map.two.deep` is written in brackets');
  assert.match(brackets.advice, 'on a line of its own');
});

test.run();
