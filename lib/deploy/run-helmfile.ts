import { spaceAdvice, TaskError } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import {
  authorityAdvice,
  detailsIn,
  findingsOf,
  historyAdvice,
  placesToFix,
  readHelmFailure,
  saidByHelm,
  shownLinesOf,
} from '../helm/failure.ts';
import { callHelmfile, declaredReleases, namesText, type Release } from '../helm/helmfile.ts';
import { adviceFor } from '../kubernetes/advice.ts';
import { type Diagnosis, tellWaiting, watchCluster } from '../kubernetes/diagnostics.ts';
import { redactSecrets } from '../secrets/sops.ts';
import type { Context } from '../settings/context.ts';
import { endOf, signalOf } from '../tools/tool-answer.ts';

/** What helmfile does, to begin an error. */
type Doing = 'installing' | 'uninstalling' | 'testing';

/** Runs helmfile with these words and the user's, while watching the cluster, whose events explain a failure. */
export async function runHelmfile(
  context: Context,
  doing: Doing,
  releases: readonly Release[],
  words: readonly string[],
): Promise<void> {
  const { environment } = context;
  const diagnosis = await watchCluster(context, new Set(releases.map(({ namespace }) => namespace)));
  // helmfile's forty lines about a failure are mostly its command line: only with --verbose or own arguments.
  const verbose = context.verbose || context.passThrough.length > 0;
  try {
    if (verbose) await redactSecrets(context);
    const explain = async (error: TaskError, stderr: string) => {
      const said = verbose ? stderr : await logHelm(context, stderr);
      return failure(context, diagnosis, doing, releases, said, error);
    };
    const running = callHelmfile(context, [...words, ...context.passThrough], explain, !verbose);
    await tellWaiting(context, `${doing} ${namesText(releases)}`, running, diagnosis);
    const how = providerOf(environment).simulatedPods
      ? ' (run as a process of this machine: the pod is simulated)'
      : '';
    for (const { object, text } of diagnosis.passed()) context.log(`${object}: ${text}${how}`);
  } finally {
    await diagnosis.stop();
  }
}

/** Logs and returns helm's part of the output; empty if it may contain unknown secrets. */
async function logHelm(context: Context, stderr: string): Promise<string> {
  const closed = await redactSecrets(context).catch((error: unknown) => error);
  if (closed instanceof TaskError) {
    context.log(`helm's output is not shown, since it may contain secrets: ${closed.what}`);
    return '';
  }
  for (const line of saidByHelm(stderr)) context.log(line);
  return stderr;
}

async function failure(
  context: Context,
  diagnosis: Diagnosis,
  doing: Doing,
  releases: readonly Release[],
  stderr: string,
  error: TaskError,
): Promise<TaskError> {
  const { root } = context.environment;
  const { failed, said, undone, rendering } = readHelmFailure(stderr, releases);
  const findings = shownLinesOf(findingsOf(failed, diagnosis.findings(), await declaredReleases(root)));
  // Pods do not show a chart's fault, and terminating pods explain nothing.
  const seen = rendering || doing === 'uninstalling' ? [] : findings;
  const named = failed.length > 0 ? failed : releases;
  const details = detailsIn(await diagnosis.save(named.length === 1 ? (named[0]?.name ?? '') : 'releases'));
  const what = `${doing} ${namesText(named)} failed`;
  const why = seen.length > 0 ? seen.join('\n') : said || (error.why ?? '');
  const { exitCode } = error;
  const ended = { exitCode, signal: null };
  if (why === '' || (failed.length === 0 && signalOf(ended))) {
    const unknown = doing === 'testing' ? '' : '; what was changed is not known';
    const repairs = doing === 'installing' ? ': an install repairs what is incomplete' : '';
    return new TaskError({
      what,
      why: `helmfile: ${endOf(ended)}${why && ` after: ${why}`}${unknown}`,
      advice: `run again${repairs}; ${details}`,
      exitCode,
      cause: error,
    });
  }
  const known =
    (doing === 'testing' ? authorityAdvice(why, named) : historyAdvice(said, named)) ??
    adviceFor(`${said}\n${why}`) ??
    spaceAdvice(said);
  const place = rendering ? await placesToFix(failed, context.environment, said) : 'it';
  // helmfile names every failed release. Without a name or findings it did not get that far.
  const isEarly = failed.length === 0 && findings.length === 0;
  return new TaskError({
    what: `${isEarly ? `${doing} failed before the first release` : what}${undone}`,
    why,
    advice: `${known ?? `fix ${place} and run again`}; ${
      rendering && failed.length > 0 ? `nothing of ${namesText(failed)} was changed` : details
    }`,
    exitCode,
    cause: error,
  });
}
