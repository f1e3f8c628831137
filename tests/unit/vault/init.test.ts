import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault, waitForVault } from '../../../lib/vault/api/init.ts';
import { keysNeverStored, readKeys } from '../../../lib/vault/api/keys-file.ts';
import type { Replica } from '../../../lib/vault/api/replica.ts';
import { type Answer, type Call, failureOf, withVault } from './scripted-vault.ts';

const replica = (address: string, signal?: AbortSignal): Replica => ({
  name: 'vault-0',
  client: vaultClient(signal === undefined ? { address } : { address, signal }),
});

const keys = { keys: ['00'], keys_base64: ['a2V5'], root_token: 'hvs.root' };
const stored = JSON.stringify({ unseal_keys_b64: ['a2V5'], root_token: 'hvs.root' });

const test = suite<{ folder: string; keysPath: string }>('vault/init');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-init-'));
  context.keysPath = join(context.folder, 'vault', 'keys.json');
});
test.after.each(async ({ folder }) => {
  await rm(folder, { recursive: true });
});

/** A Vault in the given state that opens with the key `a2V5`. */
function vaultIn(
  state: { initialized: boolean; sealed: boolean },
  overrides?: (call: Call) => Answer | undefined,
) {
  const now = { ...state };
  return (call: Call): Answer | undefined => {
    const answer = overrides?.(call);
    if (answer !== undefined) return answer;
    switch (`${call.method} ${call.path}`) {
      case 'GET sys/seal-status':
        return { body: now };
      case 'PUT sys/init':
        now.initialized = true;
        return { body: keys };
      case 'PUT sys/unseal':
        if (call.body.key !== 'a2V5') {
          return {
            status: 400,
            body: { errors: [`'key' must be a valid hex or base64 string ${call.body.key}`] },
          };
        }
        now.sealed = false;
        return { body: now };
      case 'GET sys/health':
        return { status: now.sealed ? 503 : 200, body: { standby: false } };
      default:
        return undefined;
    }
  };
}

async function keep(keysPath: string, text: string): Promise<void> {
  await mkdir(join(keysPath, '..'), { recursive: true });
  await writeFile(keysPath, text);
}

test('a new Vault is initialised and unsealed, with keys readable by the owner only', ({ keysPath }) =>
  withVault(vaultIn({ initialized: false, sealed: true }), async ({ address, calls }) => {
    const { initialised, unsealed } = await initialiseVault({ replicas: [replica(address)], keysPath });
    assert.equal([initialised, unsealed], [true, ['vault-0']]);
    assert.equal(calls.find(({ path }) => path === 'sys/init')?.body, {
      secret_shares: 1,
      secret_threshold: 1,
    });
    assert.is((await stat(keysPath)).mode & 0o777, 0o600);
    assert.is((await stat(join(keysPath, '..'))).mode & 0o777, 0o700);
    assert.equal(await readKeys(keysPath), { unsealKeys: ['a2V5'], rootToken: 'hvs.root' });
    assert.equal(await readdir(join(keysPath, '..')), ['keys.json']);
  }));

test('the keys are in place before Vault is asked for anything else', async ({ keysPath }) => {
  let kept = false;
  const script = vaultIn({ initialized: false, sealed: true }, ({ path }) => {
    if (path === 'sys/unseal') return { status: 500, body: { errors: ['internal error'] } };
    return undefined;
  });
  await withVault(script, async ({ address }) => {
    await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
    kept = (await readKeys(keysPath)) !== undefined;
  });
  assert.ok(kept);
});

test('an interrupted run still gets and keeps the keys', async ({ keysPath }) => {
  const controller = new AbortController();
  const script = vaultIn({ initialized: false, sealed: true }, ({ path }) => {
    if (path === 'sys/init') controller.abort(new Error('stopped'));
    return undefined;
  });
  await withVault(script, async ({ address }) => {
    const { signal } = controller;
    const failure = await failureOf(
      initialiseVault({ replicas: [replica(address, signal)], keysPath, signal }),
    );
    assert.match(failure.what, 'stopped');
  });
  assert.equal(await readKeys(keysPath), { unsealKeys: ['a2V5'], rootToken: 'hvs.root' });
});

test('Vault is not initialised if its keys cannot be stored', ({ folder, keysPath }) =>
  withVault(vaultIn({ initialized: false, sealed: true }), async ({ address, requests }) => {
    await writeFile(join(folder, 'vault'), 'a file where the folder should be');
    const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
    assert.is(failure.what, `the Vault keys cannot be stored at ${keysPath}`);
    assert.equal(new Set(requests()), new Set(['GET sys/seal-status']));
  }));

test('a refused initialisation leaves no file behind', ({ keysPath }) =>
  withVault(
    vaultIn({ initialized: false, sealed: true }, ({ path }) =>
      path === 'sys/init' ? { status: 400, body: { errors: ['no storage'] } } : undefined,
    ),
    async ({ address }) => {
      const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
      assert.is(failure.why, 'no storage');
      assert.equal(await readdir(join(keysPath, '..')), []);
    },
  ));

test('keys of an earlier Vault are kept aside', ({ keysPath }) =>
  withVault(vaultIn({ initialized: false, sealed: true }), async ({ address }) => {
    await keep(keysPath, 'earlier');
    await writeFile(`${keysPath}.1`, 'even earlier');
    await initialiseVault({ replicas: [replica(address)], keysPath });
    assert.equal((await readdir(join(keysPath, '..'))).sort(), ['keys.json', 'keys.json.1', 'keys.json.2']);
    assert.is(await readFile(`${keysPath}.2`, 'utf8'), 'earlier');
  }));

test('keys that a killed run did not move into place are found', ({ keysPath }) =>
  withVault(vaultIn({ initialized: true, sealed: true }), async ({ address }) => {
    await keep(`${keysPath}.pending`, stored.padEnd(4096));
    const { initialised, unsealed } = await initialiseVault({ replicas: [replica(address)], keysPath });
    assert.equal([initialised, unsealed], [false, ['vault-0']]);
    assert.equal(await readdir(join(keysPath, '..')), ['keys.json']);
  }));

test('a ready Vault is not changed', ({ keysPath }) =>
  withVault(vaultIn({ initialized: true, sealed: false }), async ({ address, requests }) => {
    await keep(keysPath, stored);
    const { initialised, unsealed } = await initialiseVault({ replicas: [replica(address)], keysPath });
    assert.equal([initialised, unsealed], [false, []]);
    assert.equal(
      requests().filter((line) => !line.startsWith('GET')),
      [],
    );
  }));

test('lost keys are an error with advice', ({ keysPath }) =>
  withVault(vaultIn({ initialized: true, sealed: true }), async ({ address }) => {
    const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
    assert.is(failure.what, `Vault at ${address} is initialised, but its keys are not in ${keysPath}`);
    assert.match(failure.advice, 'destroy-environment');
  }));

test('keys of another Vault are named, never shown', ({ keysPath }) =>
  withVault(vaultIn({ initialized: true, sealed: true }), async ({ address }) => {
    await keep(keysPath, stored.replace('a2V5', 'b3RoZXI='));
    const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
    assert.is(failure.what, `Vault at ${address} stays sealed: the keys of ${keysPath} do not open it`);
    assert.is(failure.why, "'key' must be a valid hex or base64 string ***");
  }));

test('too few keys leave Vault sealed, with an error', ({ keysPath }) =>
  withVault(
    vaultIn({ initialized: true, sealed: true }, ({ path }) =>
      path === 'sys/unseal' ? { body: { sealed: true } } : undefined,
    ),
    async ({ address }) => {
      await keep(keysPath, stored);
      const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
      assert.is(failure.why, 'it is still sealed after 1 of the keys');
    },
  ));

for (const text of [
  '',
  '{"unseal_keys_b64": ["a2V5"',
  '{"unseal_keys_b64": []}',
  '{"unseal_keys_b64": [1], "root_token": "x"}',
  '[]',
]) {
  test(`a damaged keys file is an error that names it: ${text || 'empty'}`, ({ keysPath }) =>
    withVault(vaultIn({ initialized: true, sealed: true }), async ({ address }) => {
      await keep(keysPath, text);
      const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
      assert.is(failure.what, `the Vault keys in ${keysPath} are damaged`);
    }));
}

test('a run waits until Vault becomes active', async ({ keysPath }) => {
  let asked = 0;
  const script = vaultIn({ initialized: true, sealed: true }, ({ path }) => {
    if (path !== 'sys/health') return undefined;
    asked += 1;
    return asked < 3 ? { status: 429, body: { standby: true } } : undefined;
  });
  await withVault(script, async ({ address }) => {
    await keep(keysPath, stored);
    await initialiseVault({ replicas: [replica(address)], keysPath });
  });
  assert.is(asked, 3);
});

test('unsealVault does not change a new or unsealed Vault', async ({ keysPath }) => {
  await withVault(vaultIn({ initialized: false, sealed: true }), async ({ address, requests }) => {
    assert.is(await unsealVault({ replicas: [replica(address)], keysPath }), 'new');
    assert.equal(requests(), ['GET sys/seal-status']);
  });
  await withVault(vaultIn({ initialized: true, sealed: false }), async ({ address }) => {
    assert.is(await unsealVault({ replicas: [replica(address)], keysPath }), 'unchanged');
  });
});

test('unsealVault unseals a sealed Vault, and fails without keys', async ({ keysPath }) => {
  const script = vaultIn({ initialized: true, sealed: true });
  await withVault(script, async ({ address }) => {
    const replicas = [replica(address)];
    assert.match((await failureOf(unsealVault({ replicas, keysPath }))).what, 'its keys are not in');
    await keep(keysPath, stored);
    assert.is(await unsealVault({ replicas, keysPath }), 'changed');
  });
});

test('waitForVault waits for a Vault that starts, and throws the last reason otherwise', async () => {
  let asked = 0;
  const script = (): Answer => {
    asked += 1;
    return asked < 3 ? { status: 502, text: 'starting' } : { body: { initialized: true, sealed: true } };
  };
  await withVault(script, async ({ address }) => waitForVault(vaultClient({ address }), 5000));
  assert.is(asked, 3);
  await withVault(
    () => ({ status: 502, text: 'starting' }),
    async ({ address }) => {
      const failure = await failureOf(waitForVault(vaultClient({ address }), 30));
      assert.is(failure.why, 'HTTP 502');
    },
  );
});

for (const answer of [
  { status: 200, text: '' },
  { body: {} },
  { body: { initialized: 'no', sealed: true } },
  { body: { initialized: false } },
  { body: { errors: [] } },
]) {
  test(`an answer without a state does not mean a new Vault: ${JSON.stringify(answer)}`, ({ keysPath }) =>
    withVault(
      () => answer,
      async ({ address, requests }) => {
        const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
        assert.is(failure.what, `the answer of ${address} to GET sys/seal-status is not Vault's`);
        assert.equal(requests(), ['GET sys/seal-status']);
      },
    ));
}

test('an initialisation without keys does not mean that Vault is new', ({ keysPath }) =>
  withVault(
    vaultIn({ initialized: false, sealed: true }, ({ path }) =>
      path === 'sys/init' ? { body: {} } : undefined,
    ),
    async ({ address }) => {
      const failure = await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
      assert.is(failure.what, `the answer of ${address} to PUT sys/init is not Vault's`);
      assert.is(await keysNeverStored(keysPath), true);
    },
  ));

test('an unsealing without a state does not mean that the keys are wrong', async ({ folder, keysPath }) => {
  await mkdir(join(folder, 'vault'));
  await writeFile(keysPath, stored);
  const script = vaultIn({ initialized: true, sealed: true }, ({ path }) =>
    path === 'sys/unseal' ? { body: {} } : undefined,
  );
  await withVault(script, async ({ address }) => {
    const failure = await failureOf(unsealVault({ replicas: [replica(address)], keysPath }));
    assert.is(failure.what, `the answer of ${address} to PUT sys/unseal is not Vault's`);
  });
});

test('an unreadable keys file is a distinct error', async ({ keysPath }) => {
  await mkdir(keysPath, { recursive: true });
  await chmod(keysPath, 0o700);
  assert.is((await failureOf(readKeys(keysPath))).what, `the Vault keys in ${keysPath} cannot be read`);
});

test('if the answer to the initialisation is lost, the reservation stays', async ({ keysPath }) => {
  const server = createServer((request, response) => {
    if (request.url === '/v1/sys/init') request.socket.destroy();
    else response.end(JSON.stringify({ initialized: false, sealed: true }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await failureOf(initialiseVault({ replicas: [replica(address)], keysPath }));
    assert.is(await keysNeverStored(keysPath), true);
    assert.is(await readKeys(keysPath), undefined);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a Vault that cannot unseal now does not mean that the keys are wrong', async ({ folder, keysPath }) => {
  await mkdir(join(folder, 'vault'));
  await writeFile(keysPath, stored);
  for (const status of [500, 503, 429]) {
    const broken = ({ path }: Call) =>
      path === 'sys/unseal' ? { status, body: { errors: ['storage is not reachable'] } } : undefined;
    await withVault(vaultIn({ initialized: true, sealed: true }, broken), async ({ address }) => {
      const failure = await failureOf(unsealVault({ replicas: [replica(address)], keysPath }));
      assert.is(failure.what, `Vault refused PUT sys/unseal with HTTP ${status}`);
      assert.not.match(failure.advice ?? '', 'destroy');
    });
  }
});

test.run();
