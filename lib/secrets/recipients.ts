import { type Shell, TaskError } from '../runner/runner.ts';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { isAmong } from './development-keys.ts';
import { encryptionProblem, keysIn } from './key-parts.ts';

/**
 * Why a file could not be encrypted: by the keys that its rule names, of which sops only says "Unusable public key". `$` is the
 * shell for gpg; `unless` are keys that are being replaced; `suffix` ends what happened.
 */
export async function explainEncryption(
  $: Shell,
  file: string,
  output: Ended,
  { unless = [], suffix = '' }: { readonly unless?: readonly string[]; readonly suffix?: string } = {},
): Promise<TaskError> {
  if (signalOf(output) !== undefined) return toolFailure(`sops encrypt ${file}`, output);
  const wanted = ruleFor(await creationRules(), file)?.recipients ?? [];
  const others = wanted.filter((fingerprint) => !isAmong(unless, fingerprint));
  const problems = (await Promise.all(others.map((fingerprint) => problemOf($, fingerprint)))).flatMap(
    (problem) => problem ?? [],
  );
  // Only then it is about the rule, or the keys that it names; else about anything: no room, no memory.
  if (problems.length === 0 && !/creation rule|data key|public key|config/i.test(output.stderr))
    return toolFailure(`sops encrypt ${file}`, output, suffix === '' ? undefined : `run it again${suffix}`);
  const missing = problems.some(({ missing }) => missing);
  return new TaskError({
    what: `${file} cannot be encrypted for the keys of ${rulesFile}${suffix}`,
    why: problems.length === 0 ? reasonOf(output) : problems.map(({ text }) => text).join('\n'),
    advice:
      problems.length === 0
        ? `see the rule for it in ${rulesFile}, and sops/README.md`
        : missing
          ? 'put the public half of each key into sops/, as *.public.asc: sops/README.md'
          : `have its owner renew it (gpg --quick-set-expire) and put its public half into sops/ again, or name another key in ${rulesFile}`,
  });
}

async function problemOf(
  $: Shell,
  fingerprint: string,
): Promise<{ readonly text: string; readonly missing: boolean } | undefined> {
  const listed = await $`gpg --batch --with-colons --list-keys ${fingerprint}`;
  // gpg: 2 when it has no such key.
  if (listed.exitCode !== 0 && listed.exitCode !== 2) throw toolFailure('gpg --list-keys', listed);
  const [key] = keysIn(listed.stdout);
  if (key === undefined) return { text: `${fingerprint}: there is no public half of it`, missing: true };
  const problem = encryptionProblem(key);
  return problem === undefined ? undefined : { text: `${fingerprint}: ${problem}`, missing: false };
}
