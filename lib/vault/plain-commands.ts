import { relative } from 'node:path';
import { providerOf } from '../cluster/providers.ts';
import { authorityFile } from '../database/certificate.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Target } from '../settings/context.ts';
import { programTrust } from './api/certificate.ts';
import {
  type InitCommandsInput,
  initCommands,
  loginCommands,
  type PlainAccess,
  reach,
  unsealCommands,
} from './api/dry-run.ts';
import { desiredState, inClusterApi, reviewerTokenWords, vaultSettings } from './desired.ts';
import { keysFileName, localKeys } from './keys-place.ts';
import { vaultSelector } from './replicas.ts';

/** The plain commands of `unseal`, for `--dry-run`. */
export const unsealVaultCommands = async (target: Target) => unsealCommands(await plainAccess(target));

/** The plain commands before others that call `vault`, for `--dry-run`. */
export const vaultAccessCommands = async (target: Target) => reach(await plainAccess(target));

/** The plain commands of `init-vault`, for `--dry-run`. */
export const initVaultCommands = async (target: Target) => initCommands(await initInput(target));

/** The plain commands of `init-vault` after a rotation of database passwords, for `--dry-run`. */
export const vaultLoginCommands = async (target: Target) => loginCommands(await initInput(target));

async function initInput(target: Target): Promise<InitCommandsInput> {
  const { environment, settings } = target;
  const servers = await providerOf(environment).servers?.(environment);
  return {
    ...(await plainAccess(target)),
    state: await desiredState(environment),
    environment: environment.name,
    databaseAuthorityFile: authorityFile(target),
    settings: vaultSettings(settings, servers?.settings),
    kubernetes: servers
      ? {
          ...servers.api,
          reviewerTokenCommand: `${kubectlText(environment)} ${reviewerTokenWords.join(' ')}`,
        }
      : inClusterApi,
  };
}

async function plainAccess(target: Target): Promise<PlainAccess> {
  const { environment } = target;
  const trust = programTrust(target);
  const keys = relative(environment.root, localKeys(environment));
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) return { address: servers.settings.address, trust, keysPath: keys };
  const kubectl = kubectlText(environment);
  const forward = `${kubectl} -n vault port-forward svc/vault 8200 & # leave it running for the following commands`;
  return {
    address: 'https://127.0.0.1:8200',
    trust,
    keysPath: keys,
    ...(isShared(environment) && { shared: keysFileName(environment) }),
    pods: { kubectl, selector: vaultSelector, forward },
  };
}
