import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TraceEvent, traceOf } from '../../../report/trace.ts';
import { ran, recordedRun } from './fixture.ts';

const run = recordedRun(
  [
    ran('base', 0, 100),
    ran('left', 100, 250, { needs: [0], waitedMs: 3, retriedAt: [150, 200] }),
    ran('right', 100, 180, {
      needs: [0],
      lane: 1,
      status: 'failed',
      failure: { what: 'no luck', exitCode: 7 },
    }),
    ran('top', 250, 250, { needs: [1, 2] }),
    { ...ran('never', 0, 0), startedAt: undefined, endedAt: undefined, lane: undefined, needs: [2] },
  ],
  { notes: [{ at: 90, text: 'stopping' }] },
);
const { traceEvents: events, ...rest } = traceOf(run);
const slices = events.filter((event) => event.ph === 'X' && event.cat === 'task');
const slice = (name: string) => slices.find((event) => event.name === name) as TraceEvent;
const within = (inner: TraceEvent, outer: TraceEvent) =>
  inner.tid === outer.tid &&
  inner.ts >= outer.ts &&
  inner.ts + (inner.dur ?? 0) <= outer.ts + (outer.dur ?? 0);

test('a trace says what it is of', () => {
  assert.equal(rest, {
    displayTimeUnit: 'ms',
    otherData: { task: 'top', outcome: 'done', started: '2023-11-14T22:13:20.000Z', jobs: '2' },
  });
});

test('every event has what the format asks of its phase', () => {
  for (const event of events) {
    assert.type(event.name, 'string');
    for (const field of ['pid', 'tid', 'ts'] as const) assert.ok(Number.isInteger(event[field]), event.name);
    if (event.ph === 'X') assert.ok((event.dur ?? 0) > 0);
    if (event.ph === 's' || event.ph === 'f') assert.ok(event.id !== undefined && event.cat !== undefined);
    if (event.ph === 'i') assert.is(event.s, 'g');
    if (event.ph === 'C') assert.type(event.args?.tasks, 'number');
    if (event.ph === 'M')
      assert.ok(['process_name', 'thread_name', 'thread_sort_index'].includes(event.name));
  }
});

test('each worker is a thread with a name, each task that ran a slice in microseconds', () => {
  const named = events.filter(({ name }) => name === 'thread_name');
  assert.equal(
    named.map(({ tid, args }) => [tid, args?.name]),
    [
      [1, 'worker 1'],
      [2, 'worker 2'],
    ],
  );
  assert.equal(
    slices.map(({ name, tid, ts, dur }) => [name, tid, ts, dur]),
    [
      ['base', 1, 0, 100_000],
      ['right', 2, 100_000, 80_000],
      ['left', 1, 100_000, 150_000],
      ['top', 1, 250_000, 1],
    ],
  );
  assert.equal(slice('left').args, { status: 'done', waitedMs: 3, attempts: 3, declared: 'x.ts:1' });
  assert.equal([slice('right').args?.failure, slice('right').args?.exitCode], ['no luck', 7]);
});

test('attempts are slices within the task', () => {
  const attempts = events.filter(({ cat }) => cat === 'attempt');
  assert.equal(
    attempts.map(({ name, ts, dur }) => [name, ts, dur]),
    [
      ['attempt 1', 100_000, 50_000],
      ['attempt 2', 150_000, 50_000],
      ['attempt 3', 200_000, 50_000],
    ],
  );
  for (const attempt of attempts) assert.ok(within(attempt, slice('left')));
});

test('an arrow leads from within the slice of each need to the start of its dependent', () => {
  const arrows = events
    .filter(({ ph }) => ph === 's')
    .map((start) => ({
      start,
      end: events.find(({ ph, id }) => ph === 'f' && id === start.id) as TraceEvent,
    }));
  const nameAt = (event: TraceEvent) =>
    slices.find(({ tid, ts, dur }) => tid === event.tid && event.ts >= ts && event.ts < ts + (dur ?? 0))
      ?.name;
  assert.equal(arrows.map(({ start, end }) => `${nameAt(start)} ${nameAt(end)}`).sort(), [
    'base left',
    'base right',
    'left top',
    'right top',
  ]);
  for (const { start, end } of arrows) {
    assert.is(end.bp, 'e');
    assert.ok(start.ts <= end.ts);
    assert.ok(events.indexOf(end) > events.indexOf(slice(nameAt(end) ?? '')), 'the slice comes first');
  }
});

test('slices of one thread never overlap, however short the tasks', () => {
  const instant = recordedRun(
    Array.from({ length: 50 }, (_, place) => ran(`t${place}`, 7, place < 25 ? 7 : 8)),
  );
  const { traceEvents } = traceOf(instant);
  const sorted = traceEvents.filter(({ ph }) => ph === 'X').sort((left, right) => left.ts - right.ts);
  assert.is(sorted.length, 50);
  for (const [index, { ts, dur = 0 }] of sorted.entries())
    assert.ok(ts + dur <= (sorted[index + 1]?.ts ?? Number.POSITIVE_INFINITY));
});

test('the number of running tasks is counted whenever it changes', () => {
  const counts = events.filter(({ ph }) => ph === 'C').map(({ ts, args }) => [ts, args?.tasks]);
  assert.equal(counts, [
    [0, 1],
    [100_000, 2],
    [180_000, 1],
    [250_000, 1],
    [250_001, 0],
  ]);
});

test.run();
