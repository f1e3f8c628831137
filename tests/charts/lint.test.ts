import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { productionFolder } from './production.ts';
import { chartNames, helmfileArguments, type Provider, required, stateArguments } from './render.ts';
import { cleanUp, root, run, withKeyring } from './tools.ts';

/* `helm lint --strict`: warnings are failures. */

const test = suite('helm lint');
test.after(cleanUp);

for (const chart of chartNames) {
  test(`${chart}: no warning with the required values only`, async () => {
    const args = ['lint', '--strict', '--values', '-', `charts/${chart}`];
    const { exitCode, stdout, stderr } = await run('helm', args, { stdin: JSON.stringify(required[chart]) });
    assert.is(exitCode, 0, `${stdout}${stderr}`);
    assert.match(stdout, '1 chart(s) linted, 0 chart(s) failed');
  });
}

const environments: readonly (readonly [Provider, string])[] = [
  ['embedded', 'development'],
  ['minikube', 'development'],
  ['existing', 'development'],
  ['existing', 'lab'],
  ['existing', 'production'],
];

/** True when no chart comes from a repository, so that all can be linted. */
const whole = (provider: Provider, environment: string): boolean =>
  provider === 'embedded' || environment === 'lab';

for (const [provider, environment] of environments) {
  test(`${environment} on ${provider}: no warning with the values of any release`, async () => {
    const folder = environment === 'production' ? await productionFolder() : root;
    const own = ['app=devops', 'app=postgresql', 'tier=apps'].flatMap((label) => ['--selector', label]);
    const args = [
      ...(await helmfileArguments(provider, environment)).filter((word) => word !== '--quiet'),
      ...(await stateArguments()),
      ...(whole(provider, environment) ? [] : own),
      ...['lint', '--args', '--strict'],
    ];
    const { exitCode, stdout, stderr } = await withKeyring((keyring) =>
      run('helmfile', args, { environment: keyring, folder }),
    );
    const said = `${stdout}${stderr}`;
    assert.is(exitCode, 0, said);
    const linted = [...said.matchAll(/1 chart\(s\) linted, 0 chart\(s\) failed/g)];
    assert.is(linted.length, whole(provider, environment) ? 10 : 6, said);
  });
}

test.run();
