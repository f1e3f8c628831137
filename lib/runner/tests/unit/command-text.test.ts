import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Capture } from '../../child-output.ts';
import { checkValues } from '../../shell.ts';

test('a value that is missing is a mistake', () => {
  assert.throws(() => checkValues(['a ', ''], [undefined]), /expected a value after `a `, got `undefined`/);
  assert.throws(() => checkValues(['a ', ''], [['x', null]]), /got/);
});

test('of what is printed the last part is kept, from the start of a line', () => {
  const capture = new Capture(10_000);
  for (let line = 0; line < 1000; line += 1) capture.push(Buffer.from(`line ${line}\n`));
  assert.not(capture.truncated);
  assert.is(capture.text().split('\n').length, 1001);
  for (let line = 0; line < 100_000; line += 1) capture.push(Buffer.from(`line ${line}\n`));
  assert.ok(capture.truncated);
  assert.match(capture.text(), /^line \d+\n/);
  assert.ok(capture.text().endsWith('\nline 99999\n'));
  assert.ok(capture.text().length >= 9_900 && capture.text().length < 10_000 + 2 * 4096);
});

test('a line longer than what is kept leaves its end', () => {
  const capture = new Capture(1000);
  capture.push(Buffer.alloc(50_000, 'x'));
  capture.push(Buffer.from('end\n'));
  assert.ok(capture.text().endsWith('xend\n') || capture.text() === 'end\n', capture.text().slice(-10));
});

test.run();
