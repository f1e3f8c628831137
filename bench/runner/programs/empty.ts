/* What npx and tsx cost before a program does anything. */
export {};
