import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatFailure, MissingToolError, TaskError, toFailure, UsageError } from '../../errors.ts';
import { shorten } from '../../shell.ts';

test('an expected failure is what, why and advice', () => {
  const error = new TaskError({ what: 'it broke', why: 'of age', advice: 'buy another', exitCode: 4 });
  assert.equal(formatFailure(toFailure(error)), ['error: it broke', '  why: of age', '  do: buy another']);
  assert.is(error.message, 'it broke: of age');
  assert.equal(formatFailure(toFailure(new TaskError({ what: 'it broke', why: ' ' }))), ['error: it broke']);
  assert.is(toFailure(error).exitCode, 4);
  const kinds = [TaskError, UsageError, MissingToolError];
  const codes = kinds.map((Kind) => toFailure(new Kind({ what: 'x' })).exitCode);
  assert.equal(codes, [1, 2, 127]);
});

test('an expected failure is no success, also when its exit code says so', () => {
  for (const exitCode of [0, -1, 256, 1.5, Number.NaN, '3' as never]) {
    const error = new TaskError({ what: 'x', exitCode });
    assert.is(error.exitCode, 1);
    assert.is(toFailure(Object.assign(error, { exitCode })).exitCode, 1);
  }
});

test('a command that is cut keeps what it does', () => {
  const long = `/home/${'x'.repeat(90)}/kubeconfig`;
  const values = `--state-values-file ${long} --state-values-set-string environment=x`;
  for (const [command, shown] of [
    [`kubectl --kubeconfig ${long} --context some get nodes -o json`, 'kubectl get nodes -o json'],
    [
      `helm --kubeconfig '${long} of me' --kube-context=some --namespace core rollback devops 3`,
      'helm --namespace core rollback devops 3',
    ],
    [`helmfile --kubeconfig ${long} --kube-context c ${values} -l name=a sync`, 'helmfile -l name=a sync'],
    ['echo --context', 'echo --context'],
  ] as const)
    assert.is(shorten(command), shown);
});

test('whatever is thrown can be shown, with its causes', () => {
  const refused = new AggregateError([new Error('refused at ::1'), new Error('refused at 127.0.0.1')], '');
  const circle = new Error('round') as Error & { cause: unknown };
  circle.cause = circle;
  const loop: { self?: unknown } = {};
  loop.self = loop;
  for (const [thrown, text, why] of [
    ['a text', 'a text'],
    [{ code: 1 }, '{"code":1}'],
    [{ message: 'like an error' }, 'like an error'],
    [Symbol('x'), 'Symbol(x)'],
    [null, 'null'],
    [loop, 'something that cannot be shown was thrown'],
    [Object.create(null), '{}'],
    [new Error('no answer', { cause: refused }), 'no answer', 'refused at ::1\nrefused at 127.0.0.1'],
    [circle, 'round', Array(5).fill('round').join('\n')],
  ] as const) {
    const failure = toFailure(thrown);
    assert.equal([failure.what, failure.why], [`Internal error: ${text}`, why]);
  }
});

test('a message moves no cursor and clears no screen', () => {
  const error = new TaskError({ what: 'a\u001B[2J\u0007b \u001B[31mred\u001B[39m', why: 'one\r\ntwo' });
  const what = 'error: a[2Jb \u001B[31mred\u001B[39m';
  assert.equal(formatFailure(toFailure(error)), [what, '  why: one', '       two']);
});

test('long texts are cut to 12 lines in all', () => {
  const text = Array.from({ length: 50 }, (_, index) => `line ${index}`).join('\n');
  const lines = formatFailure(toFailure(new TaskError({ what: text, why: text, advice: text })));
  assert.is(lines.length, 12);
  assert.is(lines[1], '       line 1');
});

test.run();
