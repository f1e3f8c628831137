import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageRow } from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import { watchStatus } from '../../../lib/operations/watch-status.ts';
import { remember } from '../../../lib/settings/environment.ts';
import { context, listing, scriptedSuite } from '../../rig/scripted-folder.ts';

/* `status --watch` while the API is lost and comes back, played by a kubectl. */

const files = ['environments', 'vault', 'helmfile.yaml'];
const { test, project } = scriptedSuite('watch-status', 'existing', ...files);

test('a page is shown until its reader has gone, also while the cluster is lost', async () => {
  const { environment } = context;
  mkdirSync(join(environment.state, 'diagnostics'), { recursive: true });
  await remember(environment);
  const minutesAgo = (minutes: number): string =>
    new Date(Date.now() - minutes * 60_000).toISOString().replace(/[:.]/g, '-');
  for (const [minutes, name] of [
    [3, 'app1-back'],
    [5000, 'old'],
  ] as const)
    writeFileSync(join(environment.state, 'diagnostics', `${minutesAgo(minutes)}-${name}.txt`), '');
  const pod = { metadata: { namespace: 'backend', name: 'app1-x' }, status: { phase: 'Pending' } };
  const node = (name: string, ready: string) => ({
    ...{ metadata: { name }, status: { conditions: [{ type: 'Ready', status: ready }] } },
  });
  const answering = {
    readyz: 'echo ok',
    'get nodes': listing(node('one', 'True'), node('two', 'False')),
    'get pods': listing(pod),
    '': listing(),
  };
  const lost = 'echo "The connection to the server was refused" >&2; exit 1';
  const pages: string[][] = [];
  project.script('kubectl', answering);
  await watchStatus(
    {
      ...context,
      page: (rows: readonly PageRow[]) => {
        pages.push(rows.map(({ name, text }) => `${name} ${text}`));
        project.script('kubectl', pages.length === 1 ? lost : answering);
        // A record that cannot be read, as during a crash.
        if (pages.length === 3) writeFileSync(join(environment.state, 'environment.json'), '{');
        if (pages.length === 4) process.stdout.emit('error', new Error('EPIPE'));
      },
    },
    1,
  );
  assert.is(pages.length, 4);
  assert.match(pages[3]?.[0] ?? '', /^error .*environment\.json, the record of the environment, is damaged/);
  for (const page of [pages[0], pages[2]]) {
    assert.ok(
      page?.some((row) => /^cluster running.*, 1 of 2 nodes ready$/.test(row)),
      page?.join('\n'),
    );
    assert.ok(page?.includes('node two: not ready'));
    assert.match(page?.join('\n') ?? '', /^release not installed: devops, .*app2-front$/m);
    assert.ok(page?.includes('pod backend/app1-x: it is Pending'));
    const failures = page?.filter((row) => row.startsWith('failure ')).join();
    assert.match(failures ?? '', /^failure app1-back, 3m[^,]* ago[^,]*$/);
  }
  assert.match(
    pages[1]?.join('\n') ?? '',
    /connection to the server was refused|cluster (degraded|absent|stopped)/,
  );
  assert.equal(context.logged, []);
});

test.run();
