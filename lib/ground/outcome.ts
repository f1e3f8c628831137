/** What a step did to the environment. */
export type Outcome = 'changed' | 'unchanged';
