import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { root } from '../ground/project.ts';
import { quote, type Shell, TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { type Environment, exportHomes } from '../settings/environment.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { developmentKeysFile, isAmong } from './development-keys.ts';
import { allSecretFiles, parseEncrypted, readEncrypted } from './encrypted-file.ts';
import { explainSops } from './explain.ts';
import { howToRestore } from './how-to-restore.ts';
import { keysIn } from './key-parts.ts';
import { type KeyPlace, keyPlace } from './key-place.ts';
import {
  fingerprintsOf,
  importPublicKeys,
  keySource,
  plainReading,
  plainWriting,
} from './operational-key.ts';
import { checkExport } from './private-half.ts';
import { explainEncryption } from './recipients.ts';
import { sopsShell } from './shell.ts';
import {
  dropStaged,
  isSealed,
  putInPlace,
  readStaged,
  sealStaged,
  stage,
  stagingFolder,
  startStaging,
} from './staged-files.ts';

const parametersFile = 'sops/new-key.txt';
/** Names the key that a run has made, as long as it is nobody's yet. */
const newKeyFile = 'new-key';
const privateHalf = 'private.asc';

/** The plain commands, for `--dry-run`. */
export async function rotateCommands(
  environment: Environment,
  keyFile: string | undefined,
): Promise<readonly string[]> {
  const place = await keyPlace(environment, keyFile);
  const source = await keySource(environment);
  const show = plainReading(source, 'gpg --batch --with-colons --show-keys');
  const files = await allSecretFiles();
  return [
    exportHomes(environment, 'GNUPGHOME'),
    `old=$(${show} | sed -n 's/^fpr:*\\([0-9A-F]*\\):$/\\1/p' | head -n 1)`,
    `new=$(gpg --batch --status-fd 1 --generate-key ${parametersFile} | sed -n 's/.*KEY_CREATED B \\([0-9A-F]*\\).*/\\1/p')`,
    `sed -i.old "s/$old/$new/" ${rulesFile} && rm ${rulesFile}.old`,
    ...files
      .map(quote)
      .flatMap((file) => [`sops updatekeys --yes ${file}`, `sops rotate --in-place ${file}`]),
    plainWriting(place.path, 'gpg --batch --armor --export-secret-keys "$new"'),
    `gpg --batch --armor --export "$new" > ${place.publicFile}`,
    ...(place.kind === 'development' ? [`echo "- $new # operational" >> ${developmentKeysFile}`] : []),
    'gpg --batch --yes --delete-secret-and-public-key "$old"',
  ];
}

/**
 * Makes a new operational key and encrypts everything that the old one opens for it, with a new data key; the other
 * recipients stay. All of it is made and checked beside the files in use, which are replaced at the end. A run that was
 * killed while it replaced them is ended by the next one.
 */
export async function rotateKeys(context: EnvironmentContext, keyFile: string | undefined): Promise<void> {
  const { $, environment } = context;
  if (await isSealed()) {
    const replaced = await putInPlace();
    context.print(`the rotation that was interrupted is done\n${toCommit(replaced)}`);
    return context.report('changed');
  }
  await forgetAbandoned($);
  const place = await keyPlace(environment, keyFile);
  const old = await fingerprintsOf(await keySource(environment), context);
  const files = await filesFor(old, context);
  await importPublicKeys(context);
  await startStaging();
  let done = false;
  // Also after a signal, when nothing can be started in the task itself any more.
  context.onRunEnd(async () => {
    if (!done && !(await isSealed())) await forgetAbandoned(context.$);
  });

  const fresh = await generate($, place);
  const rules = await newRules(old[0] ?? '', fresh);
  await stage(rulesFile, rules);
  await stageKey($, place, fresh, context);
  for (const file of files) await reencrypt(await sopsShell(context), file, old, fresh);

  await sealStaged(
    new Map([
      // The private half first: nothing is encrypted for a key that could be lost.
      [privateHalf, place.path],
      [place.publicFile, join(root, place.publicFile)],
      ...(place.kind === 'development'
        ? [[developmentKeysFile, join(root, developmentKeysFile)] as const]
        : []),
      ...[...files, rulesFile].map((file) => [file, join(root, file)] as const),
    ]),
  );
  const replaced = await putInPlace();
  done = true;
  await forgetKey($, old[0] ?? '');
  context.report('changed');
  context.print([...news(place, fresh, files), toCommit(replaced)].join('\n'));
}

/** Only together do they fit: the rules, the public half and the files that it encrypts. */
const toCommit = (files: readonly string[]): string => `commit these together: ${files.join(' ')}`;

function news(place: KeyPlace, fresh: string, files: readonly string[]): string[] {
  const own = [
    `its private half is in ${place.name}: keep it safe and out of git; whoever deploys names it by SOPS_PGP_KEY_FILE, SOPS_PGP_KEY or the setting sops.key`,
  ];
  return [
    `the operational key is now ${fresh}`,
    ...files.map((file) => `encrypted for it: ${file}`),
    ...(place.kind === 'own' ? own : []),
    'who has the old key still reads the old values in the history: change them too',
  ];
}

/** The files that the old key opens. Those of other keys are left alone, and named. */
async function filesFor(old: readonly string[], context: EnvironmentContext): Promise<string[]> {
  const files: string[] = [];
  for (const file of await allSecretFiles()) {
    const { recipients } = await readEncrypted(file);
    if (recipients.some((fingerprint) => isAmong(old, fingerprint))) files.push(file);
    else if (recipients.length > 0) context.log(`left alone, since it is encrypted for other keys: ${file}`);
    else {
      throw new TaskError({
        what: `${file} is not encrypted`,
        why: 'SOPS has never seen it, or lost what it wrote there',
        advice: `encrypt it: sops encrypt --in-place ${quote(file)}`,
      });
    }
  }
  if (files.length > 0) return files;
  throw new TaskError({
    what: 'no secrets file is encrypted for the operational key',
    why: `that is ${old[0]}`,
    advice: 'name the key that opens them: sops/README.md',
  });
}

/** Makes a key in the environment's keyring and returns its fingerprint. */
async function generate($: Shell, place: KeyPlace): Promise<string> {
  const parameters = await readFile(join(root, parametersFile), 'utf8');
  const comment = place.kind === 'development' ? 'Name-Comment: DEVELOPMENT ONLY\n' : '';
  const made = await $({
    quiet: true,
    input: `${parameters.trimEnd()}\n${comment}`,
  })`gpg --batch --status-fd 1 --generate-key`;
  const fingerprint = /KEY_CREATED B ([0-9A-F]{40,})/.exec(made.stdout)?.[1];
  if (fingerprint === undefined) {
    if (!/KEY_CREATED/.test(made.stdout)) throw noAnswer('gpg --generate-key');
    throw new TaskError({
      what: 'gpg made no key',
      why: `${parametersFile} describes none with a part that encrypts`,
      advice: await howToRestore(parametersFile),
    });
  }
  await stage(newKeyFile, fingerprint);
  return fingerprint;
}

/** The rules with the new fingerprint; everything else of the file stays, comments included. */
async function newRules(old: string, fresh: string): Promise<string> {
  const text = await readFile(join(root, rulesFile), 'utf8');
  const changed = text.replaceAll(new RegExp(old, 'gi'), fresh);
  if (changed !== text) return changed;
  throw new TaskError({
    what: `${rulesFile} does not name the operational key`,
    why: `that is ${old}`,
    advice: 'write its whole fingerprint, without blanks, into the rule',
  });
}

/** Both halves as files; each keeps the line at the top that says what it is. */
async function stageKey(
  $: Shell,
  place: KeyPlace,
  fresh: string,
  context: EnvironmentContext,
): Promise<void> {
  const shown = await $({ quiet: true })`gpg --batch --with-colons --list-keys ${fresh}`;
  const parts = keysIn(shown.stdout).flatMap((key) => key.parts.map(({ fingerprint }) => fingerprint));
  if (parts[0] !== fresh) throw noAnswer(`gpg --list-keys ${fresh}`);
  // gpg ends well also when a private half is missing, and leaves it out.
  const both = await $({ quiet: true })`gpg --batch --armor --export-secret-keys ${fresh}`;
  await checkExport(both.stdout, parts, context);
  const open = await $({ quiet: true })`gpg --batch --armor --export ${fresh}`;
  const reread = await $({
    quiet: true,
    nothrow: true,
    input: open.stdout,
  })`gpg --batch --with-colons --show-keys`;
  const [half] = keysIn(reread.stdout);
  if (half?.isPrivate !== false || half.parts.map(({ fingerprint }) => fingerprint).join() !== parts.join())
    throw noAnswer(`gpg --export ${fresh}`, 'it is not the public half of the whole key');
  const marked = async (path: string, otherwise: string, armour: string): Promise<string> => {
    const before = (await textIfThere(path)) ?? '';
    const [line = ''] = before.split('\n');
    return `${before === '' || line.startsWith('-----') ? otherwise : line}\n\n${armour.trim()}\n`;
  };
  const never = 'Operational SOPS key, both halves, without a passphrase. Not for git.';
  await stage(privateHalf, await marked(place.path, never, both.stdout));
  const publicPath = join(root, place.publicFile);
  await stage(place.publicFile, await marked(publicPath, 'Operational SOPS key, public half.', open.stdout));
  if (place.kind === 'own') return;
  const known = await readFile(join(root, developmentKeysFile), 'utf8');
  const lines = parts.map((fingerprint, index) =>
    index === 0 ? `- ${fingerprint} # operational\n` : `- ${fingerprint} # its part that encrypts\n`,
  );
  await stage(developmentKeysFile, `${known.trimEnd()}\n${lines.join('')}`);
}

/** Encrypts a copy again, by the shell for sops, and makes sure that it holds the same for the right keys. */
async function reencrypt($: Shell, file: string, old: readonly string[], fresh: string): Promise<void> {
  const inStaging = $({ cwd: stagingFolder });
  const decrypt = async (shell: Shell): Promise<string> => {
    const opened = await shell`sops decrypt ${file}`;
    if (opened.exitCode !== 0) throw await explainSops(file, '', opened);
    return opened.stdout;
  };
  const before = await decrypt($);
  await stage(file, await readFile(join(root, file), 'utf8'));
  for (const words of [
    ['updatekeys', '--yes'],
    ['rotate', '--in-place'],
  ]) {
    const ended = await inStaging`sops ${words} ${file}`;
    if (ended.exitCode === 0) continue;
    throw await explainEncryption($, file, ended, { unless: old, suffix: '; nothing was changed' });
  }
  const after = await decrypt(inStaging);
  const { recipients, plain } = await parseEncrypted(await readStaged(file), file);
  const rule = ruleFor(await creationRules(), file);
  const wanted = rule?.recipients.map((fingerprint) => (isAmong(old, fingerprint) ? fresh : fingerprint));
  const same = after === before && plain.length === 0;
  if (same && [...recipients].sort().join() === [...(wanted ?? [])].sort().join()) return;
  throw new TaskError({
    what: `${file} did not come out as it should; nothing was changed`,
    why: same ? `it is encrypted for ${recipients.join(', ')}` : 'its values are other ones, or plain',
    advice: `look at the rule for it in ${rulesFile}`,
  });
}

async function forgetKey($: Shell, fingerprint: string): Promise<void> {
  await $({ quiet: true, nothrow: true })`gpg --batch --yes --delete-secret-and-public-key ${fingerprint}`;
}

/** Takes away what a run has made that did not come to its end. */
async function forgetAbandoned($: Shell): Promise<void> {
  const fingerprint = (await ifThere(readStaged(newKeyFile))) ?? '';
  if (fingerprint !== '') await forgetKey($, fingerprint);
  await dropStaged();
}
