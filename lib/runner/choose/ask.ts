import type { Key } from 'node:readline';
import { cutText } from '../output/text.ts';
import { onSuspend } from '../suspend.ts';

export type Item = { readonly word: string; readonly text: string };

export type View = { readonly columns: () => number; readonly signal: AbortSignal };

export type Asked = {
  readonly title: string;
  /** Choices; empty if any text is allowed. */
  readonly items: readonly Item[];
  /** True if typed text is an answer too. */
  readonly free: boolean;
  /** Returns the problem of an answer; undefined if it is valid. */
  readonly check?: (answer: string) => Promise<string | undefined>;
};

/** Thrown when the user leaves without an answer. */
export class Left extends Error {}

const mostItems = 15;
/** Lines beside the items. */
const otherLines = 6;
const leaving = ['AbortPromptError', 'ExitPromptError'];

/** Lets the user choose an item or type an answer. Throws Left if they leave or the signal comes. */
export async function ask(asked: Asked, view: View): Promise<string> {
  const { default: search } = await import('@inquirer/search');
  for (let typed = ''; ; ) {
    const over = new AbortController();
    let suspended = false;
    const leave = (): void => over.abort();
    const onKey = (_: unknown, key: Key): void => {
      if (key.name === 'escape' || (key.ctrl && key.name === 'd')) leave();
      if (!key.ctrl || key.name !== 'z') return;
      // Readline would stop only this process, not npx around it.
      key.name = 'none';
      suspended = true;
      leave();
    };
    process.stdin.prependListener('keypress', onKey).once('end', leave);
    try {
      return await search(
        {
          message: `${asked.title}:`,
          initialValue: typed,
          source: (term = '') => {
            typed = term;
            return choices(asked, term.trim(), view.columns() - 3);
          },
          validate: async (answer: string) => (await asked.check?.(answer)) ?? true,
          pageSize: Math.max(1, Math.min(mostItems, (process.stderr.rows || 24) - otherLines)),
          theme: {
            prefix: '',
            icon: { cursor: '>' },
            style: { keysHelpTip: () => 'arrows: select, Enter: take, Esc: leave' },
          },
        },
        {
          output: process.stderr,
          clearPromptOnDone: true,
          signal: AbortSignal.any([view.signal, over.signal]),
        },
      );
    } catch (error) {
      if (!leaving.includes((error as Error).name)) throw error;
      if (!suspended || view.signal.aborted) throw new Left();
    } finally {
      process.stdin.removeListener('keypress', onKey).removeListener('end', leave);
    }
    await suspend();
  }
}

function choices({ items, free }: Asked, term: string, columns: number) {
  const width = Math.max(0, ...items.map(({ word }) => word.length));
  const found = matching(items, term);
  const own =
    free && term !== '' && !found.some(({ word }) => word === term) ? [{ word: term, text: '' }] : [];
  return [...own, ...found].map(({ word, text }) => ({
    value: word,
    name: text === '' ? word : cutText(`${word.padEnd(width)}  ${text}`, columns, '…'),
  }));
}

/** Stops our process group, as the terminal does outside raw mode; resolves when it continues. */
async function suspend(): Promise<void> {
  // Without this, nothing would keep the process running.
  process.stdin.resume();
  await new Promise<void>((resolve) => {
    const forget = onSuspend({
      hide: () => {},
      show: () => {
        forget();
        resolve();
      },
    });
    process.kill(0, 'SIGTSTP');
  });
}

/**
 * Items that contain every word of the filter, best first: at their beginning, at a word's beginning, elsewhere.
 * Equal ones keep their order.
 */
export function matching<Entry extends Item>(items: readonly Entry[], filter: string): Entry[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rankOf = ({ word, text }: Item, part: string): number => {
    const place = word.toLowerCase().indexOf(part);
    if (place >= 0) return Math.min(place, 1);
    return text.toLowerCase().includes(part) ? 2 : Number.POSITIVE_INFINITY;
  };
  return items
    .map((item) => ({ item, rank: Math.max(0, ...wanted.map((part) => rankOf(item, part))) }))
    .filter(({ rank }) => Number.isFinite(rank))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}
