import { basename } from 'node:path';
import { reasonIn, spaceAdvice, TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import type { Finding } from '../kubernetes/diagnostics.ts';
import type { Environment } from '../settings/context.ts';
import { placeOf } from '../settings/settings.ts';
import { namesText, type Release } from './helmfile.ts';

type HelmFailure = {
  /** Failed releases; empty if helmfile failed before the first one or named none. */
  readonly failed: readonly Release[];
  /** helm's message, or helmfile's last line; empty if there was no output. */
  readonly said: string;
  /** What helm did with the failed releases, to end a sentence; empty if nothing. */
  readonly undone: string;
  /** True if the charts or their values are wrong; nothing was sent to the cluster. */
  readonly rendering: boolean;
  /** True if helm printed nothing, which does not mean that the charts are wrong. */
  readonly silent: boolean;
};

// helm's lines around the message.
const noise =
  /^(?:Use --debug flag|ensure CRDs are installed|level=(?:WARN|INFO|DEBUG)|Release ".*" does not exist)/;

/** helm's words for values that a chart's schema refuses. */
const refusedValues = "don't meet the specifications of the schema";

const aboutRendering = new RegExp(
  [
    ...['execution error at', 'parse error', 'template: ', 'error calling', 'error converting YAML'],
    ...[refusedValues, 'unable to build kubernetes objects'],
    'no matches for kind',
  ].join('|'),
);

/** What helm says that it did with a failed release, and what that means; a first install is uninstalled. */
const endings = [
  ['has been rolled back', '; what was deployed before is back'],
  ['has been uninstalled', '; nothing of it is left'],
] as const;

/** Parses helmfile's stderr after a failed command on `releases`. */
export function readHelmFailure(stderr: string, releases: readonly Release[]): HelmFailure {
  const names = new Set<string>();
  for (const [, name] of stderr.matchAll(/failed processing release (\S+?): /g)) names.add(name ?? '');
  // In helm's arguments the release comes before the namespace, which may have the same name.
  for (const [, words = ''] of stderr.matchAll(/^ARGS:\n((?: +\d+: .*\n)+)/gm)) {
    const args = [...words.matchAll(/^ +\d+: (.*) \(\d+ bytes\)$/gm)].map(([, word]) => word);
    const release = args.find((word) => releases.some(({ name }) => name === word));
    if (release !== undefined) names.add(release);
  }
  const lines = saidByHelm(stderr)
    .filter((line) => !noise.test(line))
    .map(readableRange);
  const start = lines.findIndex((line) => /^Error: /.test(line));
  // If helm was killed or could not start, helmfile prints its exit status.
  const ended = /^STDERR:/m.test(stderr) ? undefined : /^ERROR:\n +(.+)$/m.exec(stderr)?.[1];
  const said =
    ended !== undefined
      ? [`helm ended without any output: ${ended}`]
      : start >= 0
        ? lines.slice(start, start + shownLines)
        : [reasonIn(lines.join('\n')) ?? ''];
  return {
    failed: releases.filter(({ name }) => names.has(name)),
    said: said.join('\n'),
    undone: endings.find(([said]) => stderr.includes(said))?.[1] ?? '',
    rendering: aboutRendering.test(said.join('\n')),
    silent: ended !== undefined,
  };
}

/**
 * Findings about the failed releases; without any, those about no declared release, because others may fail in the
 * same namespace. All findings if helm named no release.
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

/** Findings shown in an error; the diagnostics file has all of them. */
const shownFindings = 3;

/** The findings as lines for an error's `why`, without duplicates: every attempt of a Job reports the same. */
export function shownLinesOf(findings: readonly Finding[]): readonly string[] {
  const texts = findings.map(({ text }) => text);
  const first = findings.filter(({ text }, index) => texts.indexOf(text) === index);
  return first.slice(0, shownFindings).map(({ object, text }) => `${object}: ${text}`);
}

/** The diagnostics file for an error's advice, relative to the project. */
export const detailsIn = (file: string): string => `details: ${file.slice(file.indexOf('.state/'))}`;

/** The release with the longest name that the object's name starts with: `vault-operator` before `vault`. */
function ownerOf({ object }: Finding, declared: readonly Release[]): Release | undefined {
  const path = object.slice(object.indexOf(' ') + 1);
  return declared
    .filter(({ namespace, name }) => `${path}-`.startsWith(`${namespace}/${name}-`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** Advice if the pod of a check trusts another authority than the one that signed the database's certificate. */
export function authorityAdvice(why: string, failed: readonly Release[]): string | undefined {
  if (!/database login: .*(?:verify the first certificate|self-signed certificate)/.test(why))
    return undefined;
  const tiers = [...new Set(failed.map(({ tier }) => tier))];
  const tasks = tiers.map((tier) => taskCommand(`install-tier ${tier}`)).join(' and ');
  return `run ${tasks}: the pods then trust the authority of the database's certificate`;
}

/** Advice if helm finds no revision of a release to upgrade. */
export function historyAdvice(said: string, failed: readonly Release[]): string | undefined {
  const [, found] = /"([^"]+)" has no deployed releases/.exec(said) ?? [];
  const release = failed.find(({ name }) => name === found);
  if (release === undefined) return undefined;
  const { name, namespace } = release;
  return `no revision was ever deployed, or its Secret is gone: go back to an earlier one (${taskCommand(`rollback ${name}`)}), or, without one, delete its history (\`kubectl -n ${namespace} delete secret -l owner=helm,name=${name}\`), and run again`;
}

/** Lines of helm's message shown; a schema error has one for each value. */
const shownLines = 8;

/** What to fix after what helm has `said` of a release's charts and values, for an error's advice. */
export async function placesToFix(
  releases: readonly Release[],
  environment: Place,
  said: string,
): Promise<string> {
  const [, repository] = /"(\S+)" is not a valid chart repository or cannot be reached/.exec(said) ?? [];
  if (repository !== undefined) return `the connection to ${repository}`;
  if (said.includes(refusedValues) && releases.length > 0) return settingsToFix(releases, environment, said);
  const charts = releases.map(({ chart }) => chart).filter((chart) => chart.startsWith('./'));
  const places = [...new Set(charts.map((chart) => chart.slice(2)))];
  return [...(places.length > 0 ? places : ['charts/']), `environments/${environment.name}/`].join(' or ');
}

type Place = Pick<Environment, 'name' | 'provider' | 'root'>;

/** The setting that a chart's schema refuses, with its line; the releases if no file of settings has it. */
async function settingsToFix(releases: readonly Release[], environment: Place, said: string) {
  const [, at = '', unknown] = /^- at '(.*?)': (?:additional properties '([^']+)')?/m.exec(said) ?? [];
  // A JSON pointer (RFC 6901).
  const keys = at.split('/').slice(1);
  const path = [
    ...keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~')),
    ...(unknown === undefined ? [] : [unknown]),
  ];
  const places = releases.map(async ({ name, chart }) => {
    // A release's own values win over those of its chart.
    const settings = [name, basename(chart)].map((group) => ['releases', group, ...path]);
    const place = path.length === 0 ? undefined : await placeOf(environment, settings);
    return place ?? `\`releases.${name}\` in environments/${environment.name}/`;
  });
  return [...new Set(await Promise.all(places))].join(' or ');
}

/** Explains a failed command that only renders, with helm's message. `doing` is a phrase such as "rendering". */
export const renderingFailure =
  ({ environment }: { readonly environment: Place }, releases: readonly Release[], doing: string) =>
  async (error: TaskError, stderr: string): Promise<TaskError> => {
    const { failed, said, silent } = readHelmFailure(stderr, releases);
    if (said === '') return error;
    const fix = silent ? '' : `fix ${await placesToFix(failed, environment, said)} and `;
    const again = spaceAdvice(said) ?? `${fix}run again`;
    return new TaskError({
      what: `${doing} ${namesText(failed.length > 0 ? failed : releases)} failed`,
      why: said,
      advice: `${again}; nothing was deployed`,
      exitCode: error.exitCode,
      cause: error,
    });
  };

/**
 * helm's part of helmfile's stderr, or all lines if there is none. helmfile prints program, arguments and exit
 * status, then helm's lines twice: under `STDERR:` and `COMBINED OUTPUT:`.
 */
export function saidByHelm(stderr: string): string[] {
  const parts = [...stderr.matchAll(/^ *STDERR:\n([\s\S]*?)(?=^ *COMBINED OUTPUT:|(?![\s\S]))/gm)].map(
    ([, part]) => part ?? '',
  );
  const lines = (parts.length > 0 ? parts.join('') : stderr).split('\n').map((line) => line.trim());
  return [...new Set(lines.filter((line) => line !== ''))];
}

/** Start of the schemas' patterns for address ranges. */
const rangePattern = '^((25[0-5]|';

/** helm's line about an invalid value, with an address range described instead of its long pattern. */
function readableRange(line: string): string {
  const [, place, value = '', pattern] =
    /^(- at '.*?': )'(.*)' does not match pattern '(.*)'$/.exec(line) ?? [];
  if (!pattern?.startsWith(rangePattern)) return line;
  return /^[\da-f.:]+\/0$/i.test(value)
    ? `${place}'${value}' is refused: it allows everybody`
    : `${place}'${value}' is not an IPv4 or IPv6 range`;
}
