import { taskCommand } from '../ground/launcher.ts';
import type { Finding } from '../kubernetes/diagnostics.ts';
import { reasonIn, TaskError } from '../runner/runner.ts';
import { type Release, saidByHelm } from './helmfile.ts';
import { readableRange } from './schema-words.ts';

export type HelmFailure = {
  /** The releases that helm failed with; empty when helmfile failed before any, or said not which. */
  readonly failed: readonly Release[];
  /** helm's message, or helmfile's last line; empty when neither said anything. */
  readonly said: string;
  /** helm says that it brought back what was there before. */
  readonly restored: boolean;
  /** The charts or their values are wrong: nothing of these releases was sent to the cluster. */
  readonly rendering: boolean;
  /** helm itself ended without a word: nothing follows for charts and values. */
  readonly silent: boolean;
};

// helm: "Use --debug flag …", "ensure CRDs …" and structured log lines follow or precede the message and explain nothing.
const noise =
  /^(?:Use --debug flag|ensure CRDs are installed|level=(?:WARN|INFO|DEBUG)|Release ".*" does not exist)/;

const aboutRendering =
  /execution error at|parse error|template: |error calling|YAML parse error|don't meet the specifications of the schema|unable to build kubernetes objects|no matches for kind|error converting YAML/;

/** What helmfile's stderr tells of a failed command over `releases`. */
export function readHelmFailure(stderr: string, releases: readonly Release[]): HelmFailure {
  const names = new Set<string>();
  for (const [, name] of stderr.matchAll(/failed processing release (\S+?): /g)) names.add(name ?? '');
  // helm's words, of which the release comes before the namespace, which may have the same name.
  for (const [, words = ''] of stderr.matchAll(/^ARGS:\n((?: +\d+: .*\n)+)/gm)) {
    const args = [...words.matchAll(/^ +\d+: (.*) \(\d+ bytes\)$/gm)].map(([, word]) => word);
    const release = args.find((word) => releases.some(({ name }) => name === word));
    if (release !== undefined) names.add(release);
  }
  const lines = saidByHelm(stderr)
    .filter((line) => !noise.test(line))
    .map(readableRange);
  const start = lines.findIndex((line) => /^Error: /.test(line));
  // A helm that was killed, or could not be started, has said nothing: then helmfile tells how it ended.
  const ended = /^STDERR:/m.test(stderr) ? undefined : /^ERROR:\n +(.+)$/m.exec(stderr)?.[1];
  const said =
    ended !== undefined
      ? [`helm said nothing and ended with: ${ended}`]
      : start >= 0
        ? lines.slice(start, start + shownLines)
        : [reasonIn(lines.join('\n')) ?? ''];
  return {
    failed: releases.filter(({ name }) => names.has(name)),
    said: said.join('\n'),
    restored: /has been (?:rolled back|uninstalled)/.test(stderr),
    rendering: aboutRendering.test(said.join('\n')),
    silent: ended !== undefined,
  };
}

/**
 * Of what was seen, what is about the failed releases: their checks may share a namespace with others that fail as well. When nothing
 * is, what belongs to none of `declared`; everything when helm named no release.
 */
export function findingsOf(
  failed: readonly Release[],
  findings: readonly Finding[],
  declared: readonly Release[],
): readonly Finding[] {
  if (failed.length === 0) return findings;
  const owners = findings.map((finding) => ownerOf(finding, declared));
  const own = findings.filter((_, index) => failed.some(({ name }) => name === owners[index]?.name));
  return own.length > 0 ? own : findings.filter((_, index) => owners[index] === undefined);
}

/** How many findings an error shows; all of them are in the file that it names. */
const shownFindings = 3;

/** The findings for an error's `why`. Every attempt of a Job says the same: each text is shown with the first object that it is about. */
export function shownLinesOf(findings: readonly Finding[]): readonly string[] {
  const byText = new Map(findings.toReversed().map((finding) => [finding.text, finding]));
  const lines = [...byText.values()].reverse().map(({ object, text }) => `${object}: ${text}`);
  return lines.slice(0, shownFindings);
}

/** Names the diagnostics file for an error's advice, with its path relative to the project. */
export const seenIn = (file: string): string =>
  `all that was seen is in ${file.slice(file.indexOf('.state/'))}`;

/** The release whose name an object's begins with; of `vault` and `vault-operator` the longer one. */
function ownerOf({ object }: Finding, declared: readonly Release[]): Release | undefined {
  const path = object.slice(object.indexOf(' ') + 1);
  return declared
    .filter(({ namespace, name }) => `${path}-`.startsWith(`${namespace}/${name}-`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** What mends a failed check whose pod knows another authority than the one that signed the database's certificate. */
export function authorityAdvice(why: string, failed: readonly Release[]): string | undefined {
  if (!/database login: .*(?:verify the first certificate|self-signed certificate)/.test(why))
    return undefined;
  const tiers = [...new Set(failed.map(({ tier }) => tier))];
  return `run ${tiers.map((tier) => taskCommand(`install-tier ${tier}`)).join(' and ')}: it gives them the authority of the database's certificate`;
}

/** A schema error is a line for each value. */
const shownLines = 8;

/** Where to mend what a release renders to, for an error's `do`. */
export function placesToMend(releases: readonly Release[], environment: string): string {
  const charts = releases.map(({ chart }) => chart).filter((chart) => chart.startsWith('./'));
  const places = [...new Set(charts.map((chart) => chart.slice(2)))];
  return [...(places.length > 0 ? places : ['charts/']), `environments/${environment}/`].join(' or ');
}

/**
 * The error of a command that only renders (`doing` as in "rendering"), with helm's message instead of helmfile's last line.
 * Anything that is not the failure of a command is given back as it is.
 */
export function renderingFailure(
  error: unknown,
  stderr: string,
  releases: readonly Release[],
  doing: string,
  environment: string,
): unknown {
  if (!(error instanceof TaskError)) return error;
  const { failed, said, silent } = readHelmFailure(stderr, releases);
  if (said === '') return error;
  const named = failed.length > 0 ? failed : releases;
  return new TaskError({
    what: `${doing} ${named.map(({ name }) => name).join(', ')} failed`,
    why: said,
    advice: silent
      ? 'run it again; nothing was changed'
      : `mend ${placesToMend(failed, environment)} and run again; nothing was changed`,
    exitCode: error.exitCode,
    cause: error,
  });
}
