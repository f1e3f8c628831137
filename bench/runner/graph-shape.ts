/** One task of a graph that every contender gets in its own format. */
export type ShapeTask = {
  readonly name: string;
  readonly needs: readonly string[];
  /** Command; empty: none. */
  readonly command: string;
};

/** The requested task; it needs all others. */
export const rootName = 't0';

/**
 * A tree of so many tasks in which each needs up to three others: one shape for every size, no deeper than real builds
 * are. Each of them runs `command`.
 */
export function tree(size: number, command = ''): ShapeTask[] {
  return Array.from({ length: size }, (_, index) => ({
    name: `t${index}`,
    needs: [3 * index + 1, 3 * index + 2, 3 * index + 3]
      .filter((child) => child < size)
      .map((child) => `t${child}`),
    command,
  }));
}

/**
 * A graph that fills `jobs` slots without a gap, and only then, when its chain of `length` tasks always goes first: the
 * critical path is as long as all work divided by the slots. Each task but the root runs `command`.
 */
export function packed(jobs: number, length: number, command: string): ShapeTask[] {
  const chain = Array.from({ length }, (_, index) => ({
    name: `chain${index}`,
    needs: index === 0 ? [] : [`chain${index - 1}`],
    command,
  }));
  const others = Array.from({ length: (jobs - 1) * length }, (_, index) => ({
    name: `other${index}`,
    needs: [],
    command,
  }));
  // The chain's tasks come last, so that their position gives no advantage.
  const all = [...others, ...chain];
  return [{ name: rootName, needs: all.map(({ name }) => name), command: '' }, ...all];
}
