import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestObjects } from '../../../lib/helm/live-objects.ts';

test('a manifest is read as helm reads it, so that a comparison with the cluster shows no difference', async () => {
  const manifest = `
apiVersion: v1
kind: ConfigMap
metadata: { name: values }
data: { mode: 0440, answer: yes, large: 1_000, time: 12:30:45, short: 8:30, date: 2026-11-29 }
`;
  const [object] = await manifestObjects(manifest, { name: 'app', namespace: 'here' });
  assert.equal((object as { readonly data?: unknown }).data, {
    ...{ mode: 288, answer: true, large: 1000 },
    ...{ time: '12:30:45', short: '8:30', date: '2026-11-29' },
  });
});

test.run();
