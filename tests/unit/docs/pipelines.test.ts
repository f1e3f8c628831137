import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import type { Tree } from '../../../lib/ground/tree.ts';

/* The pipelines of the project. tests/processes/docs calls their tasks, actionlint checks those of GitHub. */

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const workflows = readdirSync(join(root, '.github/workflows'));
const gitHub = workflows.map((file) => parse(read(`.github/workflows/${file}`)));
const { stages, ...gitLab } = parse(read('.gitlab-ci.yml'));
const { default: _, ...jobs } = gitLab;

type Steps = { readonly steps: readonly { readonly run?: string }[] };

const lines = {
  GitHub: gitHub
    .flatMap((workflow) => Object.values<Steps>(workflow.jobs).flatMap(({ steps }) => steps))
    .flatMap(({ run }) => run?.split('\n') ?? []),
  GitLab: Object.values<Tree>(gitLab).flatMap((job) =>
    ['before_script', 'script', 'after_script'].flatMap((key) => (job[key] ?? []) as string[]),
  ),
};

for (const [name, commands] of Object.entries(lines))
  test(`${name}: tools are installed first, and the environment is destroyed at the end`, () => {
    const called = commands.flatMap((line) => /^\.\/run (\S+)/.exec(line)?.[1] ?? []);
    assert.is(called[0], 'install-tools');
    // It removes what it has created.
    assert.is(called.at(-1), 'verify-environment');
  });

test('GitHub: the job gets every secret that docs/ci.md names', () => {
  const [, secrets = ''] = /\| secret ([^|]*)/.exec(read('docs/ci.md')) ?? [];
  const names = [...secrets.matchAll(/`(\w+)`/g)].flatMap(([, name = '']) => name);
  assert.ok(names.length > 1);
  for (const name of names) {
    const given = gitHub.map(({ jobs }) => jobs.environment?.env[name]);
    assert.ok(given.includes(`\${{ secrets.${name} }}`), name);
  }
});

test('GitLab: jobs have nothing but keywords that GitLab knows, with values that it takes', () => {
  const keywords = new Set(
    `after_script allow_failure artifacts before_script cache coverage dependencies dast_configuration environment extends
     hooks id_tokens identity image inherit interruptible manual_confirmation needs pages parallel release resource_group
     retry rules run script secrets services stage start_in tags timeout trigger variables when`.split(/\s+/),
  );
  assert.equal(stages, ['check', 'environment']);
  // biome-ignore lint/suspicious/noExplicitAny: a job as YAML; a wrong path fails the assertion on it
  for (const [name, job] of Object.entries<any>(jobs)) {
    for (const key of Object.keys(job)) assert.ok(keywords.has(key), `${name}.${key}`);
    const whole = { ...jobs[job.extends ?? ''], ...job };
    assert.ok(job.extends === undefined || job.extends in jobs, name);
    assert.ok(stages.includes(whole.stage), name);
    for (const line of whole.script ?? [undefined]) assert.type(line, 'string', name);
    assert.match(whole.timeout ?? '', /^\d+ (minutes|hours)$/, name);
    // More than two are an error.
    assert.ok((whole.cache?.key?.files ?? []).length <= 2, name);
    for (const when of [whole.cache?.when, whole.artifacts?.when])
      assert.ok(when === undefined || ['always', 'on_success', 'on_failure'].includes(when), name);
  }
});

test.run();
