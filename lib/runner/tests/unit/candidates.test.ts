import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { candidates } from '../../completion/candidates.ts';
import { flag, number, plain, text, word } from '../rig/graphs.ts';

const deploy = plain('deploy', {
  description: 'deploys\tone\napplication',
  aliases: ['d'],
  args: {
    app: { type: 'choice', positional: true, choices: async () => ['app1', 'two words'], description: 'a' },
    sure: { type: 'choice', positional: true, choices: ['yes', 'no'], optional: true, description: 's' },
    files: { ...word, variadic: true, optional: true },
    dryRun: { ...flag, short: 'n' },
    other: { type: 'choice', choices: ['red', 'green'], optional: true, description: 'more' },
    tier: { type: 'choice', choices: ({ env }) => [`core-${env}`], optional: true, description: 't' },
    broken: { type: 'choice', choices: () => Promise.reject(new Error('no file')), description: 'b' },
  },
});
const pass = plain('pass', { description: 'p', passThrough: true });
const hidden = plain('hidden', { private: true });

/** The words, or the one word that stands for others. */
async function at(...words: readonly string[]): Promise<string[]> {
  const specs = {
    env: { ...text, short: 'e', default: 'dev', suggestions: ['dev', 'prod'] },
    wait: { ...flag, default: true },
    jobs: { ...number, short: 'j', default: 4 },
  } as const;
  const found = await candidates(words, { tasks: [deploy, pass, hidden], specs, program: 'x', config: {} });
  const lines = found.trimEnd().split('\n');
  return lines[0] === 'words' ? lines.slice(1).map((line) => line.replace(/\t$/, '')) : lines;
}

test('tasks and aliases with their descriptions in one line, without private ones', async () => {
  const [first, ...rest] = await at('');
  assert.is(first, 'deploy\tdeploys one application');
  assert.equal(rest, ['d\tdeploys one application (deploy)', 'pass\tp']);
});

test('what stands by place, one after the other; a word with a space cannot be offered', async () => {
  assert.equal(await at('deploy', ''), ['app1']);
  assert.equal(await at('-e', 'prod', 'd', '-n', ''), ['app1']);
  assert.equal(await at('deploy', 'app1', ''), ['yes', 'no']);
  assert.equal(await at('deploy', 'app1', 'yes', 'x', ''), ['files']);
});

test('after -- only words: those by place, or files for a task that passes them on', async () => {
  assert.equal(await at('deploy', '--', ''), ['app1']);
  assert.equal(await at('deploy', '--', 'app1', '--'), ['yes', 'no']);
  assert.equal((await at('--', 'dep')).length, 3);
  assert.equal(await at('pass', '--', '-'), ['files']);
  assert.equal(await at('pass', '--', 'x', '--env='), ['files']);
  assert.equal(await at('--env', '--', ''), ['none']);
});

test('after a , the next task and what it takes', async () => {
  assert.equal(await at('deploy', 'app1', ',', 'pa'), await at(''));
  assert.equal(await at('pass', ',', 'deploy', ''), ['app1']);
  assert.equal(await at('pass', ',', ',', ''), ['none']);
});

test('values of options, written in any way', async () => {
  assert.equal(await at('-e', ''), ['dev', 'prod']);
  assert.equal(await at('--env=p'), ['--env=dev', '--env=prod']);
  assert.equal(await at('deploy', '-ne', 'p'), ['dev', 'prod']);
  assert.equal(await at('-j', ''), ['none']);
  assert.equal(await at('deploy', '--other=r'), ['--other=red', '--other=green']);
  assert.equal(await at('--env=prod', 'deploy', '--tier', ''), ['core-prod']);
  assert.equal(await at('deploy', '--broken', ''), ['files'], 'choices that cannot be read');
  assert.equal(await at('--wait='), ['--wait=true', '--wait=false']);
  assert.equal(await at('--no-wait='), ['none']);
});

test('options that are left, in the form in which they say something', async () => {
  const forms = async (...words: readonly string[]): Promise<string[]> =>
    (await at(...words)).map((line) => line.replace(/\t.*/, ''));
  assert.equal(await forms('--'), ['--env', '--no-wait', '--jobs']);
  assert.equal(await forms('-'), ['--env', '-e', '--no-wait', '--jobs', '-j']);
  const left = ['--no-wait', '--jobs', '--dry-run', '--tier', '--broken'];
  assert.equal(await forms('-e', 'x', 'deploy', '--other', 'red', '--'), left);
});

test('nothing where the line cannot be understood', async () => {
  for (const words of [['nonsense', ''], ['hidden', ''], ['--nonsense', ''], ['--nonsense=']])
    assert.equal(await at(...words), ['none'], words.join(' '));
});

test.run();
