// Making and finding parts of the page.

/**
 * Text only ever gets into the page as text.
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
export function element(name, attributes, children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** @param {string} id */
export function find(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no #${id}`);
  return found;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/**
 * One stop for the tab key, and arrow keys from one to the next: left and right in the order given, up and down as asked.
 * @template {HTMLElement | SVGElement} Item
 * @param {Item[]} items
 * @param {(item: Item, key: string) => Item | undefined} vertical
 */
export function walkWithArrows(items, vertical) {
  for (const [index, item] of items.entries()) {
    item.setAttribute('tabindex', index === 0 ? '0' : '-1');
    item.addEventListener('keydown', (pressed) => {
      const { key } = /** @type {KeyboardEvent} */ (pressed);
      const next = {
        ArrowLeft: items[index - 1],
        ArrowRight: items[index + 1],
        ArrowUp: vertical(item, 'ArrowUp'),
        ArrowDown: vertical(item, 'ArrowDown'),
        Home: items[0],
        End: items.at(-1),
      }[key];
      if (next === undefined) return;
      pressed.preventDefault();
      next.focus();
    });
    item.addEventListener('focus', () => {
      for (const other of items) other.setAttribute('tabindex', other === item ? '0' : '-1');
    });
  }
}
