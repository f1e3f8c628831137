/** Whole numbers, the smallest first: adding and taking cost the logarithm of the size, however many there are. */
export class Heap {
  readonly #numbers: number[] = [];

  get size(): number {
    return this.#numbers.length;
  }

  add(number: number): void {
    const numbers = this.#numbers;
    let place = numbers.length;
    numbers.push(number);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = numbers[parent] as number;
      if (above <= number) break;
      numbers[place] = above;
      place = parent;
    }
    numbers[place] = number;
  }

  /** Takes the smallest away; undefined when there is none. */
  take(): number | undefined {
    const numbers = this.#numbers;
    const smallest = numbers[0];
    const last = numbers.pop();
    if (smallest === undefined || last === undefined || numbers.length === 0) return smallest;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= numbers.length) break;
      const right = numbers[child + 1];
      if (right !== undefined && right < (numbers[child] as number)) child += 1;
      const below = numbers[child] as number;
      if (below >= last) break;
      numbers[place] = below;
      place = child;
    }
    numbers[place] = last;
    return smallest;
  }

  clear(): void {
    this.#numbers.length = 0;
  }
}
