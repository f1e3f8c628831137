import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCommandLine, requestedTasks, usageLine } from '../../command-line.ts';
import { formatFailure, toFailure, UsageError } from '../../errors.ts';
import { runnerOptions } from '../../global-options.ts';
import type { AnyTask } from '../../task.ts';
import { flag, number, plain, text, word } from '../rig/graphs.ts';

const install = plain('install-app', {
  ...{ aliases: ['install'], passThrough: true },
  args: {
    app: word,
    retries: { ...number, default: 3, short: 'r' },
    atomic: { ...flag, default: true },
    setValue: { ...text, noun: 'text', optional: true, short: 's' },
  },
});
const many = plain('test-many', { args: { first: word, rest: { ...word, variadic: true, optional: true } } });
const known = {
  tasks: [install, many, plain('hidden', { private: true }), plain('plain')],
  program: 'run',
  config: {},
  specs: { ...runnerOptions, environment: { ...text, short: 'e' } },
};

function parseWords(words: readonly string[], tasks: readonly AnyTask[] = known.tasks) {
  const { calls, options, isOpen } = parseCommandLine(words, { ...known, tasks });
  assert.ok(calls.length < 2);
  assert.is(isOpen, calls.length === 0);
  const [call] = calls;
  return { task: call?.task.name, args: call?.args, passThrough: call?.passThrough, options };
}

function parse(line: string): ReturnType<typeof parseWords> {
  return parseWords(line.split(' ').filter(Boolean));
}

async function errorOf(line: string): Promise<string[]> {
  const error: unknown = await Promise.resolve(line)
    .then(parse)
    .catch((thrown) => thrown);
  assert.instance(error, UsageError);
  return formatFailure(toFailure(error));
}

test('global options stand before or after the task', () => {
  for (const line of [
    '--environment dev --jobs 2 --yes install-app app1',
    'install-app --environment=dev app1 --jobs=2 --yes',
    '-e dev -j2 -y install-app app1',
    'install app1 -yj 2 -e=dev',
  ]) {
    const { task: name, options, args } = parse(line);
    assert.is(name, 'install-app', line);
    const environment = String(options.environment).replace('=', '');
    assert.equal({ ...options, environment }, { environment: 'dev', jobs: '2', yes: true }, line);
    assert.equal(args, { app: 'app1' }, line);
  }
});

for (const [line, args, passThrough, options] of [
  ['install-app app1 --retries 5 --no-atomic', { app: 'app1', retries: '5', atomic: false }],
  ['install-app app1 -r5 --atomic=false', { app: 'app1', retries: '5', atomic: 'false' }],
  // A single value is taken from its last place.
  ['install-app a -r 1 -r 2', { app: 'a', retries: '2' }],
  ['install-app app1 -- --debug -- -x', { app: 'app1' }, ['--debug', '--', '-x']],
  ['test-many a b - -1', { first: 'a', rest: ['b', '-', '-1'] }],
  ['--json', undefined, undefined, { json: true }],
  ['', undefined, undefined],
] as const)
  test(`what belongs to a task stands after its name: ${line}`, () => {
    const { task: name, ...parsed } = parse(line);
    assert.is(name, args && line.split(' ')[0]);
    assert.equal(parsed, { args, passThrough: passThrough ?? (args && []), options: options ?? {} });
  });

test('every flag has its opposite, which takes no value and gives way to an option of that very name', () => {
  assert.equal(parse('install-app app1 --no-json --no-wait').options, { json: false, wait: false });
  const both = plain('both', { args: { cache: flag, noCache: flag } });
  assert.equal(parseWords(['both', '--no-cache'], [both]).args, { noCache: true });
});

test('a path starts from the home, or from the folder in which the launcher was called', () => {
  const path = { type: 'path', description: 'd' } as const;
  const files = { ...path, positional: true, variadic: true } as const;
  const copy = plain('copy', { args: { to: path, text: { ...text, optional: true }, files } });
  const parsed = (calledIn: string | undefined) => {
    const words = ['copy', '--to=~/out', '--text', '~/t', 'a', '../b', '/c', '--report=r.html'];
    const { calls, options } = parseCommandLine(words, { ...known, tasks: [copy], config: { calledIn } });
    return { ...calls[0]?.args, ...options };
  };
  const to = join(homedir(), 'out');
  const given = { to, text: '~/t', files: ['a', '../b', '/c'], report: 'r.html' };
  assert.equal(parsed(undefined), given);
  assert.equal(parsed(process.cwd()), given);
  const there = ['/clone/docs/a', '/clone/b', '/c'];
  assert.equal(parsed('/clone/docs'), { ...given, files: there, report: '/clone/docs/r.html' });
});

test('-- ends the options: what follows is for the positional arguments of a task that passes nothing through', () => {
  const of = (...words: string[]): unknown => {
    const { task: name, args, options } = parseWords(words);
    return [name, args, options];
  };
  assert.equal(of('test-many', '--', '-rf'), ['test-many', { first: '-rf' }, {}]);
  assert.equal(of('test-many', '-v', 'a', '--', '--help', '--', '-n', ''), [
    'test-many',
    { first: 'a', rest: ['--help', '--', '-n', ''] },
    { verbose: true },
  ]);
  assert.equal(of('test-many', '--'), ['test-many', {}, {}]);
  const words = ['-v', '--', 'test-many', '--jobs=2'];
  assert.equal(of(...words), ['test-many', { first: '--jobs=2' }, { verbose: true }]);
  assert.equal(parse('-- install-app --debug').passThrough, ['--debug']);
  assert.is(parse('--').task, undefined);
});

test('what looks like a number is a word, and the value of an option may begin with a dash', () => {
  for (const word of ['-5', '-1.5', '-.5', '-.5e3', '-0', '-', ''])
    assert.equal(parseWords(['test-many', word]).args, { first: word });
  for (const words of [['-r', '-.5'], ['--retries', '-.5'], ['--retries=-.5'], ['-r-.5']])
    assert.equal(parseWords(['install', ...words]).args, { retries: '-.5' }, words.join(' '));
  assert.equal(parse('install -s --x=1').args, { setValue: '--x=1' });
});

for (const [line, tasks, options = {}] of [
  [
    '-v install a -r 1 , plain --jobs 2 , test-many b c',
    'install-app {"retries":"1","app":"a"}; plain {}; test-many {"first":"b","rest":["c"]}',
    { verbose: true, jobs: '2' },
  ],
  // Words after -- belong to the task before them.
  ['test-many a , install b -- , plain', 'test-many {"first":"a"}; install-app {"app":"b"} , plain'],
  ['plain , test-many -- ,', 'plain {}; test-many {"first":","}'],
  ['plain ,', 'plain {}'],
] as const)
  test(`a , begins the next task; global options are for all: ${line}`, () => {
    const { calls, options: given, isOpen } = parseCommandLine(line.split(' '), known);
    const found = calls.map(({ task, args, passThrough }) =>
      [task.name, JSON.stringify(args), ...passThrough].join(' '),
    );
    assert.equal([found.join('; '), given, isOpen], [tasks, options, line === 'plain ,']);
  });

test('what is wrong around a , is said', async () => {
  assert.equal(await errorOf('-v , plain'), [
    'error: there is no task before `,`',
    '  why: it begins the next task',
    '  do: write `run <task> , <task>`',
  ]);
  assert.match((await errorOf('plain , , plain')).join(), 'no task before `,`');
  const last = () => requestedTasks(parseCommandLine(['plain', ','], known));
  assert.throws(last, /^there is no task after the last `,`$/);
});

const valueless = 'option `--retries` needs a value';
const asArgument = 'as an argument, write it after `--`';
const unexpected = 'unexpected argument `plain` for task';

for (const [line, what, advice] of [
  ['instal-app', 'unknown task `instal-app`', 'Did you mean `install-app`?'],
  ['-- instal-app', 'unknown task `instal-app`', 'Did you mean `install-app`?'],
  ['zebra', 'unknown task `zebra`', '`run list` shows all tasks'],
  ['hidden', 'unknown task `hidden`', '`run list` shows all tasks'],
  ['--enviroment dev', 'unknown option `--enviroment`', 'Did you mean `--environment`?'],
  ['install a --retrys=2', 'unknown option `--retrys` of task `install-app`', 'Did you mean `--retries`?'],
  ['install-app -y-', 'unknown option `-y-` of task `install-app`', 'run install-app --help'],
  ['install-app -q', 'unknown option `-q` of task `install-app`', 'run install-app --help'],
  ['test-many -rf', 'unknown option `-r` of task `test-many`', `run test-many --help; ${asArgument}`],
  ['install-app a --retries', valueless, 'write `--retries=NUMBER`: d'],
  ['install-app a --retries -- x', valueless, 'write `--retries=NUMBER`, or `--retries=--` for `--`: d'],
  ['install a --no-atomic=true', 'option `--no-atomic` takes no value', '`--no-atomic`, or `--atomic=true`'],
  ['--retries 5 install-app a', 'unknown option `--retries`', 'run --help'],
  ['plain -- --force', 'unexpected argument `--force` for task `plain`', 'usage: run plain'],
  ['install-app a plain', `${unexpected} \`install-app\``, 'to run that task next, write `, plain`'],
  ['plain , instal-app', 'unknown task `instal-app`', 'Did you mean `install-app`?'],
  ['plain , install a --retries , plain', valueless, 'write `--retries=NUMBER`, or `--retries=,` for `,`: d'],
] as const)
  test(`a mistake is named, with advice: ${line}`, async () => {
    assert.equal(await errorOf(line), [`error: ${what}`, `  do: ${advice}`]);
  });

test('the usage line shows what is required and what is not', () => {
  const usage = 'usage: run install-app <app> [--retries <number>] [--no-atomic] [--set-value <text>] [-- …]';
  assert.is(usageLine(install, 'run'), usage);
  assert.is(usageLine(many, 'run'), 'usage: run test-many <first> [rest]…');
});

test.run();
