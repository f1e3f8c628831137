/** The value, or undefined if the text is none, as a file may be that a killed process or a person has written. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
