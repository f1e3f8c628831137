/** Gives its items back smallest first, by this order. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #before: (left: Item, right: Item) => boolean;

  constructor(before: (left: Item, right: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    const items = this.#items;
    let place = items.push(item) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      items[place] = parent;
      items[above] = item;
      place = above;
    }
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    items[0] = last;
    for (let place = 0; ; ) {
      const below = this.#smallest(2 * place + 1, 2 * place + 2);
      const child = items[below];
      if (child === undefined || !this.#before(child, last)) return first;
      items[place] = child;
      items[below] = last;
      place = below;
    }
  }

  #smallest(left: number, right: number): number {
    const [one, other] = [this.#items[left], this.#items[right]];
    return one !== undefined && other !== undefined && this.#before(other, one) ? right : left;
  }
}
