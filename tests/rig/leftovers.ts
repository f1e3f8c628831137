/** What editors, systems and merges leave beside a file of this name. */
export const leftovers = (name: string): string[] => [
  ...[`.#${name}`, `#${name}#`, `${name}~`, `.${name}.swp`, `.${name}.swo`, '4913'],
  ...[`${name}.orig`, `${name}.rej`, `${name}.bak`, `._${name}`, '.DS_Store', 'Thumbs.db', 'desktop.ini'],
];
