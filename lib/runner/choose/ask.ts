import type { Style } from '../output/terminal.ts';
import type { Key } from './keys.ts';
import { type Item, matching } from './match.ts';
import type { Screen } from './screen.ts';

export type View = { readonly screen: Screen; readonly style: Style; readonly columns: () => number };

export type Asked = {
  /** What stands before the text that is typed. */
  readonly title: string;
  /** To be chosen from; empty where anything may be typed. */
  readonly items: readonly Item[];
  /** What was typed counts when no item fits. */
  readonly free: boolean;
  /** Says what is wrong with an answer; undefined when nothing is. */
  readonly check?: (answer: string) => Promise<string | undefined>;
};

const mostItems = 15;

/** Lets a person choose an item or type an answer. Undefined when they leave. */
export async function ask(asked: Asked, { screen, style, columns }: View): Promise<string | undefined> {
  let typed = '';
  let selected = 0;
  let complaint = '';
  for (;;) {
    const found = matching(asked.items, typed);
    // Where anything may be typed, what was typed is the answer, unless an item is selected by the arrows.
    if (selected >= found.length) selected = found.length - 1;
    if (selected < 0 && !(asked.free && typed !== '')) selected = 0;
    const page = Math.max(1, Math.min(mostItems, screen.rows - 4));
    screen.draw(() =>
      frame({ asked, typed, found, selected, complaint }, { style, columns: columns(), page }),
    );
    const key = await screen.key();
    complaint = '';
    switch (key.name) {
      case 'leave':
        return undefined;
      case 'enter': {
        const answer = found[selected]?.word ?? (asked.free ? typed.trim() : undefined);
        if (answer === undefined) break;
        complaint = (await asked.check?.(answer)) ?? '';
        if (complaint === '') return answer;
        break;
      }
      case 'text':
      case 'erase':
      case 'erase-word':
      case 'erase-all':
        typed = edited(typed, key);
        selected = asked.free && typed !== '' ? -1 : 0;
        break;
      default:
        selected = moved(selected, key.name, page, found.length);
    }
  }
}

function edited(text: string, key: Key): string {
  switch (key.name) {
    case 'text':
      return text + key.text;
    case 'erase':
      return [...text].slice(0, -1).join('');
    case 'erase-word':
      return text.replace(/\S*\s*$/, '');
    default:
      return '';
  }
}

/** Up and down go round; pages stop at the ends. */
function moved(selected: number, direction: Key['name'], page: number, count: number): number {
  const last = Math.max(count - 1, 0);
  switch (direction) {
    case 'up':
      return selected <= 0 ? last : selected - 1;
    case 'down':
      return selected === last ? 0 : selected + 1;
    case 'page-up':
      return Math.max(selected - page, 0);
    case 'page-down':
      return Math.min(selected + page, last);
    default:
      return direction === 'home' ? 0 : last;
  }
}

type Shown = {
  readonly asked: Asked;
  readonly typed: string;
  readonly found: readonly Item[];
  readonly selected: number;
  readonly complaint: string;
};

function frame(
  { asked, typed, found, selected, complaint }: Shown,
  { style, columns, page }: { readonly style: Style; readonly columns: number; readonly page: number },
): string[] {
  const first = Math.max(0, Math.min(selected - (page >> 1), found.length - page));
  const shown = found.slice(first, first + page);
  const width = Math.min(Math.max(0, ...found.map(({ word }) => word.length)), columns >> 1);
  // One column is left free: some terminals begin a new line as soon as the last one is written.
  const cut = (text: string, room: number): string =>
    text.length > room ? text.slice(0, Math.max(0, room)) : text;
  const rows = shown.map(({ word, text }, index) => {
    const chosen = first + index === selected;
    const form = cut(word.padEnd(width), columns - 3);
    const about = cut(text, columns - form.length - 5);
    return chosen ? style.bold(`> ${form}  ${about}`) : `  ${style.cyan(form)}  ${about}`;
  });
  const hidden = found.length - shown.length;
  const foot = [
    hidden > 0 ? `${hidden} more` : '',
    found.length === 0 && asked.items.length > 0 && !asked.free ? 'nothing fits' : '',
    asked.items.length > 0 ? 'arrows: select' : '',
    'Enter: take',
    'Esc: leave',
  ].filter(Boolean);
  return [
    cut(`${asked.title}: ${typed}`, columns - 2) + style.bold('_'),
    ...rows,
    ...(complaint === '' ? [] : [style.red(cut(complaint, columns - 1))]),
    style.dim(cut(foot.join(', '), columns - 1)),
  ];
}
