import { suite } from 'uvu';
import { succeeds } from './shared.ts';

/* The cluster of `applications.test.ts`. */

const tests = suite('installed');

tests('one command line creates the environment and installs both applications', async () => {
  await succeeds('create-environment', ',', 'install-tier', 'apps');
});

tests.run();
