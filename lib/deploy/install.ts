import { providerOf } from '../cluster/providers.ts';
import { checkPasswords, takePasswords } from '../database/check-passwords.ts';
import { taskCommand } from '../ground/launcher.ts';
import { findChanged } from '../helm/changed-releases.ts';
import {
  authorityAdvice,
  findingsOf,
  placesToMend,
  readHelmFailure,
  seenIn,
  shownLinesOf,
} from '../helm/failure.ts';
import { syncWords, takeBackIfKnown } from '../helm/helm.ts';
import { declaredReleases, helmfile, type Release, saidByHelm, withNeeds } from '../helm/helmfile.ts';
import { makeNamespaces, refuseTerminating } from '../helm/namespaces.ts';
import { pendingReleases, repairPending } from '../helm/pending.ts';
import { deployedReleases } from '../helm/releases.ts';
import { rememberRendered, renderInputs } from '../helm/render-memory.ts';
import { ensureRouteCertificates } from '../ingress/certificates.ts';
import { adviceFor } from '../kubernetes/advice.ts';
import { type Diagnosis, watchCluster } from '../kubernetes/diagnostics.ts';
import { TaskError } from '../runner/runner.ts';
import { redactSecrets, secretFailure } from '../secrets/sops.ts';
import type { Context } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { endOf, signalOf } from '../tools/tool-answer.ts';
import { checkVault } from '../vault/check.ts';
import { type Selection, selector, selectsRelease, testWords } from './selection.ts';

const names = (releases: readonly Release[]): string => releases.map(({ name }) => name).join(', ');

/**
 * Installs or upgrades the selected releases and everything they need, and leaves alone what is deployed as it should be.
 * With `passThrough` helmfile is called in any case. A failure is explained by what was seen in the cluster meanwhile.
 */
export async function install(context: Context, selection: Selection): Promise<void> {
  const { environment } = context;
  const releases = withNeeds(await declaredReleases(), selectsRelease(selection));
  const [deployed, inputs] = await Promise.all([deployedReleases(context), renderInputs(context)]);
  await repairPending(context, releases, deployed);

  const { changed, scaled } = await findChanged(context, releases, deployed, inputs);
  if (changed.length > 0) {
    const all = await declaredReleases();
    await refuseTerminating(context, new Set(all.map(({ namespace }) => namespace)));
  }
  const certificates = await ensureRouteCertificates(context, releases);
  if (changed.length === 0) {
    context.report(certificates === 'changed' ? 'changed' : 'unchanged');
    context.log(`unchanged: ${names(releases)}`);
    return;
  }
  const same = releases.filter((release) => !changed.includes(release));
  if (same.length > 0) context.log(`unchanged: ${names(same)}`);
  // What is not deployed yet is not rendered before.
  if (takePasswords(changed)) await checkPasswords(context);
  await checkVault(context, changed);
  context.log(`installing: ${names(changed)}`);
  await makeNamespaces(context, changed, deployed);

  const selectors = changed.flatMap(({ name }) => ['-l', `name=${name}`]);
  const command = await helmfile(
    context,
    '--quiet',
    ...[...scaled].flatMap(([name, count]) => ['--state-values-set', `releases.${name}.replicas=${count}`]),
    ...selectors,
    ...syncWords(await takeBackIfKnown()),
    ...context.passThrough,
  );
  await explained(context, 'installing', changed, command);
  // The namespace came with the release devops.
  if (certificates === 'later') await ensureRouteCertificates(context, releases);
  context.report('changed');
  // helmfile's own arguments may change what it renders.
  if (context.passThrough.length > 0) return;
  const wanted = new Set(releases.map(({ name }) => name));
  // Of one with the replicas of its autoscaler, only rendering tells what it would be without.
  for (const name of scaled.keys()) wanted.delete(name);
  const installed = (await deployedReleases(context)).filter(({ name }) => wanted.has(name));
  await rememberRendered(environment, inputs, new Map(installed.map(({ name, digest }) => [name, digest])));
}

/** Removes the selected releases, and waits until their objects are gone. */
export async function uninstall(context: Context, selection: Selection): Promise<readonly Release[]> {
  const { environment } = context;
  const releases = (await declaredReleases()).filter(selectsRelease(selection));
  await pendingReleases(environment, releases, await deployedReleases(context));
  const words = ['--quiet', ...selector(selection), 'destroy', ...context.passThrough];
  await explained(context, 'uninstalling', releases, await helmfile(context, ...words));
  return releases;
}

/** Runs the releases' helm tests. Fails with what the checks said. */
export async function test(context: Context, selection: Selection): Promise<void> {
  const wanted = (await declaredReleases()).filter(selectsRelease(selection));
  const deployed = await deployedReleases(context);
  const missing = wanted.filter(
    ({ name }) => !deployed.some((release) => release.name === name && release.status === 'deployed'),
  );
  if (missing.length > 0) {
    throw new TaskError({
      what: `not deployed: ${names(missing)}`,
      why: 'only a deployed release can be tested',
      advice: `run ${taskCommand(selection.app === undefined ? 'install-all' : `install-app ${selection.app}`)}`,
    });
  }
  const command = await helmfile(
    context,
    '--quiet',
    ...selector(selection),
    ...testWords,
    ...context.passThrough,
  );
  await explained(context, 'the check of', wanted, command);
}

/** Runs a helmfile command while the cluster is watched, and turns its failure into one that says why. */
async function explained(
  context: Context,
  doing: 'installing' | 'uninstalling' | 'the check of',
  releases: readonly Release[],
  command: readonly string[],
): Promise<void> {
  const { $, environment } = context;
  const namespaces = new Set(releases.map(({ namespace }) => namespace));
  const diagnosis = await watchCluster(context, namespaces);
  // Of a failure helmfile tells forty lines, most of them its own command line; who asks for more or adds words sees them.
  const whole = context.verbose || context.passThrough.length > 0;
  if (whole) await redactSecrets(context);
  const running = $({ quiet: !whole })`${command}`;
  let said = '';
  running.stderr.on('data', (chunk) => {
    said += chunk;
  });
  try {
    await running;
    const how = providerOf(environment).simulatedPods
      ? ' (run as a process of this machine: the pod is simulated)'
      : '';
    for (const { object, text } of diagnosis.passed()) context.log(`${object}: ${text}${how}`);
  } catch (error) {
    if (context.signal.aborted || !(error instanceof TaskError)) throw error;
    if (!whole) {
      const closed = await redactSecrets(context).catch((failure: unknown) => failure);
      if (closed instanceof TaskError) {
        context.log(
          `what helm said is left out, since it may hold secrets that are not known: ${closed.what}`,
        );
        said = '';
      }
      for (const line of saidByHelm(said)) context.log(line);
    }
    const secret = await secretFailure(context, error);
    throw secret === error ? await withCause(error, diagnosis, doing, releases, said, environment) : secret;
  } finally {
    await diagnosis.stop();
  }
}

async function withCause(
  error: TaskError,
  diagnosis: Diagnosis,
  doing: 'installing' | 'uninstalling' | 'the check of',
  releases: readonly Release[],
  stderr: string,
  { name }: Environment,
): Promise<TaskError> {
  const { failed, said, restored, rendering } = readHelmFailure(stderr, releases);
  const findings = shownLinesOf(findingsOf(failed, diagnosis.findings(), await declaredReleases()));
  // What is wrong with a chart shows in no pod, and pods that are removed explain nothing.
  const seen = rendering || doing === 'uninstalling' ? [] : findings;
  const named = failed.length > 0 ? failed : releases;
  const file = await diagnosis.save(named.length === 1 ? (named[0]?.name ?? '') : 'releases');
  const place = rendering ? placesToMend(failed, name) : 'it';
  const untouched = rendering && failed.length > 0 ? `; nothing of ${names(failed)} was changed` : '';
  const more = `; ${seenIn(file)}`;
  // helmfile names every release that it fails with. When it names none and nothing was seen, it did not get that far.
  const early = failed.length === 0 && findings.length === 0;
  const what = early
    ? `${doing.replace(/ of$/, '')} failed before it came to a release`
    : `${doing} ${names(named)} failed`;
  const why = seen.length > 0 ? seen.join('\n') : said || (error.why ?? '');
  if (why === '' || (failed.length === 0 && signalOf({ exitCode: error.exitCode, signal: null }))) {
    const unknown = doing === 'the check of' ? '' : '; what was changed is not known';
    const repairs =
      doing === 'installing' ? 'run it again: an install repairs what is half done' : 'run it again';
    return new TaskError({
      what: `${doing} ${names(named)} failed`,
      why: `helmfile: ${endOf({ exitCode: error.exitCode, signal: null })}${why && ` after: ${why}`}${unknown}`,
      advice: `${repairs}${more}`,
      exitCode: error.exitCode,
      cause: error,
    });
  }
  const known =
    (doing === 'the check of' ? authorityAdvice(why, named) : undefined) ?? adviceFor(`${said}\n${why}`);
  return new TaskError({
    what: `${what}${restored ? '; what was deployed before is back' : ''}`,
    why,
    advice: `${known ?? `mend ${place} and run again`}${untouched || more}`,
    exitCode: error.exitCode,
    cause: error,
  });
}
