import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { tasks } from '../../../tasks/all.ts';

/* The pipelines that come with the project. actionlint checks those of GitHub further, in tests/integration. */

type Job = {
  readonly script?: readonly string[];
  readonly before_script?: readonly string[];
  readonly after_script?: readonly string[];
  readonly stage?: string;
  readonly extends?: string;
  readonly timeout?: string;
  readonly cache?: { readonly when?: string; readonly key?: { readonly files?: readonly string[] } };
  readonly artifacts?: { readonly when?: string };
};

const workflows = join(root, '.github', 'workflows');
const gitHub = readdirSync(workflows).map((file) => parse(readFileSync(join(workflows, file), 'utf8')));
const gitLab = parse(readFileSync(join(root, '.gitlab-ci.yml'), 'utf8')) as Record<string, Job>;

const { stages, default: shared, ...jobs } = gitLab as Record<string, Job> & { stages: unknown };
const scriptsOf = ({ before_script = [], script = [], after_script = [] }: Job = {}) => [
  ...before_script,
  ...script,
  ...after_script,
];

/** Every command line of a pipeline, in order. */
const lines: Readonly<Record<string, readonly string[]>> = {
  GitHub: gitHub.flatMap((workflow) =>
    Object.values(workflow.jobs as Record<string, { steps: { run?: string }[] }>).flatMap(({ steps }) =>
      steps.flatMap(({ run }) => (run === undefined ? [] : run.split('\n'))),
    ),
  ),
  GitLab: [shared, ...Object.values(jobs)].flatMap(scriptsOf),
};

for (const [name, commands] of Object.entries(lines)) {
  test(`${name}: every called task and script exists`, () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const called = commands.flatMap((line) => [...line.matchAll(/\.\/run (\S+)|npm run (\S+)/g)]);
    assert.ok(called.length > 4);
    for (const [line, task, script] of called) {
      assert.ok(task === undefined || tasks.some((known) => known.name === task), line);
      assert.ok(script === undefined || script in scripts, line);
    }
  });

  test(`${name}: tools are installed first, and the environment is destroyed at the end`, () => {
    const called = commands.flatMap((line) => /^\.\/run (\S+)/.exec(line)?.[1] ?? []);
    assert.is(called[0], 'install-tools');
    // It removes what it has created.
    assert.is(called.at(-1), 'verify-environment');
  });
}

test('GitHub: the job gets every secret that docs/ci.md names', () => {
  const [, secrets = ''] = /\| secret ([^|]*)/.exec(readFileSync(join(root, 'docs/ci.md'), 'utf8')) ?? [];
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
  for (const [name, job] of Object.entries(jobs)) {
    for (const key of Object.keys(job)) assert.ok(keywords.has(key), `${name}.${key}`);
    const whole = { ...jobs[job.extends ?? ''], ...job };
    assert.ok(job.extends === undefined || job.extends in jobs, name);
    assert.ok((stages as string[]).includes(whole.stage ?? ''), name);
    for (const line of whole.script ?? [undefined]) assert.type(line, 'string', name);
    assert.match(whole.timeout ?? '', /^\d+ (minutes|hours)$/, name);
    // More than two are an error.
    assert.ok((whole.cache?.key?.files ?? []).length <= 2, name);
    for (const when of [whole.cache?.when, whole.artifacts?.when])
      assert.ok(when === undefined || ['always', 'on_success', 'on_failure'].includes(when), name);
  }
});

test.run();
