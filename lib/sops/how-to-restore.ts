import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { root } from '../project.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { parseEncrypted } from './encrypted-file.ts';

/**
 * Advice how a damaged or unreadable file comes back. The committed one is no help after a rotation of the keys that is not
 * committed: it is encrypted for those before.
 */
export async function howToRestore(file: string): Promise<string> {
  if (!(await isForOtherKeys(file))) return `restore it: git checkout -- ${file}`;
  return `take it from a copy: the committed one is not for the keys that ${rulesFile} names now. Or, with the former key, go back to what is committed as a whole: git checkout -- ${rulesFile} sops 'environments/*/secrets/*'`;
}

/** Whether the committed version has other recipients than the rules ask for; false when it cannot be told. */
async function isForOtherKeys(file: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('git', ['show', `HEAD:./${file}`], { cwd: root });
    const { recipients } = await parseEncrypted(stdout, file);
    const wanted = ruleFor(await creationRules(), file)?.recipients;
    return wanted !== undefined && [...recipients].sort().join() !== [...wanted].sort().join();
  } catch {
    return false;
  }
}
