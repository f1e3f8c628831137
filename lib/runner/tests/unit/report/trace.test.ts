import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { traceOf } from '../../../report/trace.ts';
import { ran, recordedRun, unstarted } from './fixture.ts';

type Slice = Extract<ReturnType<typeof traceOf>['traceEvents'][number], { readonly dur: number }>;

test('each worker is a thread with a name, each task that ran a slice in microseconds', () => {
  const failure = { what: 'no luck', exitCode: 7 };
  const run = recordedRun([
    ran('base', 0, 100),
    ran('left', 100, 250, { waitedMs: 3, retriedAt: [150, 200] }),
    ran('right', 100, 180, { lane: 1, status: 'failed', failure }),
    ran('top', 250, 250),
    { ...ran('never', 0, 0), ...unstarted },
  ]);
  const text = JSON.stringify(traceOf(run));
  assert.match(text, /^\{"traceEvents":/, 'another trace may replace it');
  const { traceEvents, ...rest } = JSON.parse(text);
  const events: readonly Slice[] = traceEvents;
  assert.equal(rest, {
    displayTimeUnit: 'ms',
    otherData: { task: 'top', outcome: 'done', started: '2023-11-14T22:13:20.000Z', jobs: '2' },
  });
  const named = events.filter(({ ph }) => ph === 'M');
  const names = named.map(({ name, tid, args }) => `${name} ${tid}: ${Object.values(args)}`);
  assert.equal(names, ['process_name 0: top', 'thread_name 1: worker 1', 'thread_name 2: worker 2']);
  const slices = events.filter((event) => 'dur' in event);
  const shown = slices.map(({ name, tid, ts, dur }) => `${name} on ${tid} at ${ts} for ${dur}`);
  const [first, last] = ['base on 1 at 0 for 100000', 'top on 1 at 250000 for 1'];
  assert.equal(shown, [first, 'right on 2 at 100000 for 80000', 'left on 1 at 100000 for 150000', last]);
  const [, right, left] = slices;
  assert.equal(left?.args, { status: 'done', waitedMs: 3, attempts: 3, declared: 'x.ts:1' });
  assert.equal([right?.args.failure, right?.args.exitCode], ['no luck', 7]);
});

test('slices of one thread never overlap, however short the tasks', () => {
  const instant = recordedRun(
    Array.from({ length: 50 }, (_, place) => ran(`t${place}`, 7, place < 25 ? 7 : 8)),
  );
  const slices = traceOf(instant).traceEvents.filter((event) => 'dur' in event);
  const sorted = slices.sort((left, right) => left.ts - right.ts);
  assert.is(sorted.length, 50);
  for (const [index, { ts, dur = 0 }] of sorted.entries())
    assert.ok(ts + dur <= (sorted[index + 1]?.ts ?? Number.POSITIVE_INFINITY));
});

test.run();
