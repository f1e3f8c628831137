/** How the log of a run can be shown; apart from the renderers, so that `list` and `--help` need not load them. */
export const outputModes = [
  'auto',
  'live',
  'grouped',
  'prefixed',
  'plain',
  'json',
  'github',
  'gitlab',
] as const;

export type OutputMode = (typeof outputModes)[number];
