import * as assert from 'uvu/assert';
import { type TaskError, UsageError } from '../../errors.ts';

/** An error with its reason and advice; a missing one fails what is asserted about it. */
export type Failed = TaskError & { readonly why: string; readonly advice: string };

export type Attempt = Promise<unknown> | (() => unknown);

/** The error that an attempt ends with; of a class that may have been loaded from a copy of the project. */
export async function failureOf(attempt: Attempt): Promise<Failed> {
  try {
    await (typeof attempt === 'function' ? attempt() : attempt);
  } catch (error) {
    return error as Failed;
  }
  throw new Error('expected a failure');
}

/** The same, of this class; by default the error of a user's mistake. */
export async function refusalOf(
  attempt: Attempt,
  kind: new (...text: never[]) => TaskError = UsageError,
): Promise<Failed> {
  const error = await failureOf(attempt);
  assert.instance(error, kind);
  return error;
}
