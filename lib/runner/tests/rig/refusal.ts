import * as assert from 'uvu/assert';
import { type TaskError, UsageError } from '../../errors.ts';

type Refusal = { readonly [field in 'what' | 'why' | 'advice' | 'message']: string };

/** The error with which something is refused; by default it must be a UsageError. */
export async function refusalOf(
  asked: Promise<unknown>,
  kind: new (...text: never[]) => TaskError = UsageError,
): Promise<Refusal> {
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, kind);
  const { what, why = '', advice = '', message } = error as TaskError;
  return { what, why, advice, message };
}
