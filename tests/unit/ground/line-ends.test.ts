import { test } from 'uvu';
import { checkLineEnds } from '../../../lib/ground/line-ends.ts';
import { fails } from '../../rig/task-context.ts';

const check = (...texts: readonly (string | Buffer)[]): Promise<void> =>
  Promise.resolve().then(() =>
    checkLineEnds(texts.map((text, index) => ({ path: `charts/${index}`, text }))),
  );

test('texts with Unix line ends, and a carriage return within a line, are accepted', async () => {
  await check('', 'one\ntwo\n', Buffer.from('a\rb'), 'last\r');
});

test('Windows line ends are reported with the first file and the number of others', async () => {
  const two = check('fine\n', 'one\r\ntwo\n', Buffer.from('\r\n'));
  await fails(two, { what: 'charts/1 and 1 more with Windows line ends', why: /./, advice: /perl -pi/ });
  await fails(check('one\r\n'), { what: 'charts/0 with Windows line ends' });
});

test.run();
