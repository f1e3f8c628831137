/**
 * Calls `body` as if this were another platform, with these variables set; what it runs are the programs of this one.
 */
export async function onPlatform(
  platform: NodeJS.Platform,
  variables: Readonly<Record<string, string>>,
  body: () => Promise<void>,
): Promise<void> {
  const real = process.platform;
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.defineProperty(process, 'platform', { value: platform });
  Object.assign(process.env, variables);
  try {
    await body();
  } finally {
    Object.defineProperty(process, 'platform', { value: real });
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
